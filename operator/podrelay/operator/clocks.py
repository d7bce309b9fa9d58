"""Clocks that continue while the machine is suspended, unlike the clock of the event loop."""

import time
from collections.abc import Callable
from typing import Final

LONGEST_SLEEP_SECONDS: Final = 60.0
"""Code that waits by one of these clocks must read it at least this often: timers of the event loop do not use them."""


def boot_clock() -> float:
    """Return the seconds since boot, including suspends."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class WaitClock:
    """Monotonic seconds, for waits until a time of day.

    The clock advances with the boot clock, and jumps forward with the wall clock: a virtual machine that was paused
    notices the pause only when its wall clock is corrected. If the wall clock is set back, nothing changes.

    Args:
        boot: returns the seconds since boot, including suspends.
        wall: returns the seconds since the epoch.
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
