"""Clocks that go on while the machine sleeps: the event loop's own stands still meanwhile."""

import time
from collections.abc import Callable
from typing import Final

LONGEST_SLEEP_SECONDS: Final = 60.0
"""Whoever waits by one of these clocks has to look at it so often: no timer of the event loop knows of them."""


def boot_clock() -> float:
    """Return seconds of the clock that runs from boot on, sleep included."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class WaitClock:
    """Seconds that never go back, for waits until a time of day.

    They go on with the boot clock, and forward with the wall clock: a virtual machine that was paused learns only from
    its wall clock, which is put right afterwards, that time has passed. A wall clock that is put back changes nothing.

    Args:
        boot: seconds that go on evenly, sleep included.
        wall: seconds of the day and year.
    """

    def __init__(self, boot: Callable[[], float] = boot_clock, wall: Callable[[], float] = time.time) -> None:
        self._boot = boot
        self._wall = wall
        self._ahead = float("-inf")

    def __call__(self) -> float:
        """Return the time."""
        boot = self._boot()
        self._ahead = max(self._ahead, self._wall() - boot)
        return boot + self._ahead
