module podrelay.dev/examples/primes

go 1.22
