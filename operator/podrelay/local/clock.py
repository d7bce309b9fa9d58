"""A clock that can skip time, so that a test does not wait for an hour's pause between two iterations."""

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta


class Clock:
    """A clock that runs with real time and can also be advanced.

    Because it keeps running, a task that polls until it is close to its timeout also ends.
    """

    def __init__(self) -> None:
        self._ahead = 0.0
        self._lock = threading.Lock()
        self._began, self._began_at = datetime.now(UTC), time.monotonic()
        self.moved: Callable[[], None] = lambda: None
        """Called after each `advance`."""

    @property
    def ahead(self) -> float:
        """How many seconds have been skipped so far."""
        return self._ahead

    def monotonic(self) -> float:
        """Return monotonic time in seconds."""
        return time.monotonic() + self._ahead

    def now(self) -> datetime:
        """Return the current time in UTC, with a time zone."""
        return self._began + timedelta(seconds=self.monotonic() - self._began_at)

    def advance(self, seconds: float) -> None:
        """Advance the clock.

        Args:
            seconds: how many seconds to skip.

        Raises:
            ValueError: `seconds` is negative.
        """
        if not seconds >= 0:
            raise ValueError(f"time cannot be advanced by {seconds} seconds")
        with self._lock:
            self._ahead += seconds
        self.moved()


def timestamp(moment: datetime) -> str:
    """Return a time in the format of the runner: RFC 3339, UTC, with microseconds."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
