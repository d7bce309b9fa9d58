"""Medians and percentiles."""

import math
from collections.abc import Iterable, Sequence


def percentile(values: Sequence[float], percent: float) -> float | None:
    """Return the smallest value that is not exceeded by `percent` percent of all values; None without values."""
    if not values:
        return None
    rank = math.ceil(len(values) * percent / 100)
    return sorted(values)[max(0, rank - 1)]


def median(values: Iterable[float | None]) -> float | None:
    """Return the median of the values that are not None; None if there are no such values."""
    found = sorted(value for value in values if value is not None)
    if not found:
        return None
    middle = len(found) // 2
    return found[middle] if len(found) % 2 else (found[middle - 1] + found[middle]) / 2
