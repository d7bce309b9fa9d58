"""Waiting for conditions in other programs: with a deadline, never for a fixed time."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

_PAUSES = (0.05, 0.5)
"""First and longest pause between two checks, in seconds. A pause is a quarter of the time that has passed."""


def eventually(what: str, check: Callable[[], T], seconds: float = 60) -> T:
    """Return the first true value of `check`; fail with `what` and the last value if it takes longer."""
    started = time.monotonic()
    shortest, longest = _PAUSES
    while not (value := check()):
        passed = time.monotonic() - started
        if passed > seconds:
            raise AssertionError(f"after {seconds:g} s still not: {what}; the last answer was: {value}")
        time.sleep(min(longest, max(shortest, passed / 4)))
    return value
