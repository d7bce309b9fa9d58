"""The exception of benchmarks."""


class BenchmarkError(Exception):
    """Nothing could be measured; the message says why."""
