"""Changes that wait for a main loop, and the bell that wakes it. Other threads and signal handlers may use both."""

import queue
from collections.abc import Iterator

from podrelay.local.history import Event


class Inbox:
    """Changes of objects, in their order."""

    def __init__(self) -> None:
        # A SimpleQueue is reentrant, so a signal handler may put something into it at any time.
        self._changes: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._bell: queue.SimpleQueue[None] = queue.SimpleQueue()

    def put(self, event: Event) -> None:
        """Add a change, and wake the main loop."""
        self._changes.put(event)
        self._bell.put(None)

    def wake(self) -> None:
        """Wake the main loop."""
        self._bell.put(None)

    def taken(self) -> Iterator[Event]:
        """Take the changes, including those that are added meanwhile."""
        while not self._changes.empty():
            yield self._changes.get()

    def wait(self, seconds: float) -> None:
        """Wait until something wakes the main loop, but no longer than this."""
        try:
            self._bell.get(timeout=max(0.0, seconds))
            while True:
                self._bell.get_nowait()
        except queue.Empty:
            return
