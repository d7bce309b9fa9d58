"""A limited number of places for work that waits for others' answers; who takes long gives up the place, and goes on.

So a hundred requests that all wait for one slow admission webhook keep nobody else's from being sent.
"""

import asyncio
import contextlib
from collections.abc import Iterator

PATIENCE_SECONDS = 1.0
"""A place is for as long; what is answered at all is answered sooner, as a rule."""


class Places:
    """Places, taken in the order in which they are asked for.

    Args:
        count: how many there are.
        slow: how many may go on without one, because they have taken long. Beyond it they keep their places.
        patience_seconds: how long is long.
    """

    def __init__(self, count: int, *, slow: int, patience_seconds: float = PATIENCE_SECONDS) -> None:
        self._free = asyncio.Semaphore(count)
        self._patience = patience_seconds
        self._most_slow = slow
        self._slow: set[_Stay] = set()
        self._overdue: dict[_Stay, None] = {}
        """Those that would have given up their places, in the order of their time."""

    async def acquire(self) -> None:
        """Wait for a place; `occupied()` has to follow."""
        await self._free.acquire()

    @contextlib.contextmanager
    def occupied(self) -> Iterator[None]:
        """Keep the place that was acquired for as long as this takes, but not for longer than the patience."""
        stay = _Stay()
        timer = asyncio.get_running_loop().call_later(self._patience, self._is_long, stay)
        try:
            yield
        finally:
            timer.cancel()
            self._overdue.pop(stay, None)
            if stay in self._slow:
                self._slow.discard(stay)
                if self._overdue:
                    self._is_long(next(iter(self._overdue)))
            else:
                self._free.release()

    def _is_long(self, stay: "_Stay") -> None:
        if len(self._slow) == self._most_slow:
            self._overdue[stay] = None
            return
        self._overdue.pop(stay, None)
        self._slow.add(stay)
        self._free.release()


class _Stay:
    """One use of a place, by its identity."""
