"""What `make demo` does: a cluster, the operator, two real runs, live in the terminal, and the way on by hand."""
