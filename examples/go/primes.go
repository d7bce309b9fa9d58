// Primes counts prime numbers, with one time slice per pod: a Podrelay task in a few lines of Go, without an SDK.
package main

import (
	"encoding/json"
	"fmt"
	"math/big"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// State is passed from one pod to the next.
type State struct {
	Below int64   `json:"below"` // where the count ends
	Next  int64   `json:"next"`  // the next number to check
	Found int64   `json:"found"` // primes so far
	Slice float64 `json:"slice"` // seconds for each pod
}

func main() {
	state := State{Below: 1_000_000, Next: 2, Slice: 2}
	if err := json.Unmarshal([]byte(os.Getenv("PODRELAY_INPUT")), &state); err != nil {
		answer(map[string]any{"status": "error", "error": map[string]any{"message": err.Error(), "code": "BadInput"}})
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM) // abort, drain or timeout: pass the work so far to the next pod
	over := time.After(time.Duration(state.Slice * float64(time.Second)))
	for ; state.Next < state.Below; state.Next++ {
		select {
		case <-over:
			answer(map[string]any{"status": "continue", "input": state})
		case <-stop:
			answer(map[string]any{"status": "continue", "input": state})
		default:
			if big.NewInt(state.Next).ProbablyPrime(0) { // exact below 2^64
				state.Found++
			}
		}
	}
	answer(map[string]any{"status": "done", "output": map[string]any{"primes": state.Found, "below": state.Below}})
}

// Answer writes the answer to the file that the kubelet reads, and ends the program.
func answer(response map[string]any) {
	text, _ := json.Marshal(response)
	fmt.Println(string(text))
	if err := os.WriteFile("/dev/termination-log", text, 0o644); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}
