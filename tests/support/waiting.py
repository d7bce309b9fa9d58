"""Waiting for what another program does: until it is so, with a deadline, never for a fixed time."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def eventually(what: str, check: Callable[[], T], seconds: float = 20) -> T:
    """Return the first true value of `check`; fail with `what` and the last value if it takes longer."""
    deadline = time.monotonic() + seconds
    while not (value := check()):
        if time.monotonic() > deadline:
            raise AssertionError(f"after {seconds:g} s still not: {what}; the last answer was: {value}")
        time.sleep(0.05)
    return value
