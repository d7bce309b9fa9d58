"""What can go wrong with a benchmark."""


class BenchmarkError(Exception):
    """Nothing could be measured; the message says why."""
