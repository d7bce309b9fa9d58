"""What the relay costs, measured on a real control plane whose nodes are simulated by kwok. See docs/performance.md."""
