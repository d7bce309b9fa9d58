"""The work queue: keys that wait for a worker, each once, each worked on by one worker at a time.

A key that is added while a worker has it comes back afterwards; a key may be added for later; a key that failed comes
back with exponential backoff. The semantics are those of client-go's work queue.
"""

import asyncio
import heapq
import random
from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)

BACKOFF_SECONDS = (0.05, 60.0)


class WorkQueue(Generic[K]):
    """Keys to be worked on. Not thread-safe: one event loop owns it."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._ready: asyncio.Queue[K] = asyncio.Queue()
        self._queued: set[K] = set()
        self._working: set[K] = set()
        self._again: set[K] = set()
        self._failures: dict[K, int] = {}
        self._not_before: dict[K, float] = {}
        self._heap: list[tuple[float, int, K]] = []
        self._due: dict[K, tuple[float, int]] = {}
        self._sequence = 0
        self._timer: asyncio.TimerHandle | None = None
        self._armed_for = 0.0

    def __len__(self) -> int:
        """Return how many keys are ready and wait for a worker."""
        return self._ready.qsize()

    def add(self, key: K) -> None:
        """Let a worker look at `key` as soon as one is free."""
        if key in self._working:
            self._again.add(key)
        elif self._not_before.get(key, 0.0) > self._loop.time():
            self.add_after(key, self._not_before[key] - self._loop.time())
        elif key not in self._queued:
            self._queued.add(key)
            self._ready.put_nowait(key)

    def add_after(self, key: K, seconds: float) -> None:
        """Add `key` later. The earliest of several wishes counts; a key is looked at once for all of them."""
        due = self._loop.time() + max(0.0, seconds)
        if key in self._due and self._due[key][0] <= due:
            return
        self._sequence += 1
        self._due[key] = (due, self._sequence)
        heapq.heappush(self._heap, (due, self._sequence, key))
        if len(self._heap) > 2 * len(self._due) + 64:
            # Wishes that were overtaken stay in the heap; a run that is planned often would fill it for months.
            self._heap = [entry for entry in self._heap if self._due.get(entry[2]) == entry[:2]]
            heapq.heapify(self._heap)
        self._arm()

    def retry(self, key: K, at_least_seconds: float = 0.0) -> float:
        """Add `key` after a failure, later with each one; return the delay in seconds.

        Nothing brings the key back before `at_least_seconds`: that is what the API server has asked for.
        """
        failures = self._failures[key] = self._failures.get(key, 0) + 1
        shortest, longest = BACKOFF_SECONDS
        delay: float = min(longest, shortest * 2.0 ** min(failures, 20)) * random.uniform(0.75, 1.0)  # noqa: S311 - jitter
        delay = max(delay, at_least_seconds)
        if at_least_seconds > 0:
            self._not_before[key] = self._loop.time() + at_least_seconds
        self.add_after(key, delay)
        return delay

    def succeeded(self, key: K) -> None:
        """Forget the failures of `key`."""
        self._failures.pop(key, None)
        self._not_before.pop(key, None)

    async def get(self) -> K:
        """Wait for a key and take it; `done()` gives it back."""
        key = await self._ready.get()
        self._queued.discard(key)
        self._working.add(key)
        # Whoever looks at the key now sees what the timer would have called for, and says anew when to come back.
        self._due.pop(key, None)
        return key

    def done(self, key: K) -> None:
        """Give `key` back; it is ready again if it was added meanwhile."""
        self._working.discard(key)
        if key in self._again:
            self._again.discard(key)
            self.add(key)

    def _arm(self) -> None:
        if self._timer is not None:
            if self._heap and self._heap[0][0] == self._armed_for:
                return  # ten thousand wishes at once would leave as many timers to the loop
            self._timer.cancel()
            self._timer = None
        if self._heap:
            self._armed_for = self._heap[0][0]
            self._timer = self._loop.call_at(self._armed_for, self._fire)

    def _fire(self) -> None:
        self._timer = None
        now = self._loop.time()
        while self._heap and self._heap[0][0] <= now:
            due, sequence, key = heapq.heappop(self._heap)
            if self._due.get(key) == (due, sequence):
                del self._due[key]
                self.add(key)
        self._arm()
