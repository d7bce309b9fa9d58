"""A semaphore for requests; a request that takes long gives up its place, but continues.

So a hundred requests that all wait for one slow admission webhook do not block other requests.
"""

import asyncio
import contextlib
from collections.abc import Iterator

PATIENCE_SECONDS = 1.0
"""How long a request keeps its place; most responses arrive sooner."""


class Places:
    """A limited number of places, assigned in the order of the requests for them.

    Args:
        count: the number of places.
        slow: how many slow requests may continue without a place. Further slow requests keep their places.
        patience_seconds: after how many seconds a request counts as slow.
    """

    def __init__(self, count: int, *, slow: int, patience_seconds: float = PATIENCE_SECONDS) -> None:
        self._free = asyncio.Semaphore(count)
        self._patience = patience_seconds
        self._most_slow = slow
        self._slow: set[_Stay] = set()
        self._overdue: dict[_Stay, None] = {}
        """Slow requests that had to keep their places, in the order in which they became slow."""

    async def acquire(self) -> None:
        """Wait for a place; the caller must then use `occupied()`."""
        await self._free.acquire()

    @contextlib.contextmanager
    def occupied(self) -> Iterator[None]:
        """Keep the acquired place until the end of the block, but no longer than `patience_seconds`."""
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
    """One use of a place; compared by identity."""
