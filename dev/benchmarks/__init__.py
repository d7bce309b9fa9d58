"""Benchmarks of the relay on a real control plane whose nodes are simulated by kwok. See docs/performance.md."""
