"""Podrelay's programs as processes, kubectl and the chart, for tests and benchmarks."""
