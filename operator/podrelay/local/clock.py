"""Time that can be skipped: nobody waits for an hour's pause between two iterations in a test."""

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta


class Clock:
    """Goes on by itself, as real time does, and further ahead each time that somebody advances it.

    Because it goes on, a task that polls until it is close to its timeout comes to an end, too.
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
        """Return seconds, never going back."""
        return time.monotonic() + self._ahead

    def now(self) -> datetime:
        """Return the time of day, aware, UTC."""
        return self._began + timedelta(seconds=self.monotonic() - self._began_at)

    def advance(self, seconds: float) -> None:
        """Let time pass at once.

        Args:
            seconds: how much.

        Raises:
            ValueError: time does not go back.
        """
        if not seconds >= 0:
            raise ValueError(f"time cannot be advanced by {seconds} seconds")
        with self._lock:
            self._ahead += seconds
        self.moved()


def timestamp(moment: datetime) -> str:
    """Return a time as the runner writes it: RFC 3339, UTC, with microseconds."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
