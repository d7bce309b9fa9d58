"""The work queue: each key waits at most once, and is processed by one worker at a time.

A key that is added while it is being processed comes back afterwards; a key can be added with a delay; a key that
failed comes back with exponential backoff. The semantics are those of client-go's work queue.

Unlike in client-go, keys belong to groups, which take turns: a burst in one group delays the others by one key only,
regardless of its size. Groups can be nested, such as definitions within namespaces. A group may use at most half of the
workers of its parent group, so that a group with slow keys leaves some workers to the others.
"""

import asyncio
import heapq
import random
from collections import Counter, OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from podrelay.operator.clocks import LONGEST_SLEEP_SECONDS

K = TypeVar("K", bound=Hashable)
Path = tuple[Hashable, ...]
"""Identifies a group, beginning with its outermost group."""

BACKOFF_SECONDS = (0.05, 60.0)
MOST_IN_PROGRESS = 128
"""Keys in progress at the same time; each may have a request in flight, and the API server has some hundred seats."""


def _one_group(_key: object) -> Path:
    return ()


class WorkQueue(Generic[K]):
    """Keys to be processed. Not thread-safe: it belongs to one event loop.

    Args:
        group_of: returns the group of a key; by default there is only one. If a waiting key is added again, it moves to
            its current group.
        most_in_progress: how many keys may be in progress at once; half as many of an outermost group, and so on.
        clock: monotonic seconds for delays; by default the event loop's clock. Another clock is read at least once a
            minute while keys wait.
    """

    def __init__(
        self,
        group_of: Callable[[K], Path] = _one_group,
        most_in_progress: int = MOST_IN_PROGRESS,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._clock = clock or self._loop.time
        self._group_of = group_of
        self._most_in_progress = most_in_progress
        self._ready: _Line[K] = _Line()
        self._ready_since: dict[K, float] = {}
        self._ready_in: dict[K, Path] = {}
        self._working: dict[K, Path] = {}
        self._in_progress: Counter[Path] = Counter()
        self._news = asyncio.Event()
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
        return len(self._ready_since)

    @property
    def oldest_seconds(self) -> float:
        """For how long the oldest ready key has been waiting for a worker; 0 if no key waits."""
        since = next(iter(self._ready_since.values()), None)
        return 0.0 if since is None else self._loop.time() - since

    def add(self, key: K) -> None:
        """Make `key` ready; a worker processes it when it is the turn of its group."""
        if key in self._working:
            self._again.add(key)
        elif self._not_before and (wait := self._not_before.get(key, 0.0) - self._clock()) > 0:
            self.add_after(key, wait)
        elif (group := self._group_of(key)) != self._ready_in.get(key):
            if key in self._ready_in:
                self._ready.discard(self._ready_in[key], key)
            self._ready_since.setdefault(key, self._loop.time())
            self._ready_in[key] = group
            self._ready.add(group, key)
            self._news.set()

    def add_after(self, key: K, seconds: float) -> None:
        """Add `key` after a delay. If it is scheduled more than once, the earliest time wins, and it is added once."""
        due = self._clock() + max(0.0, seconds)
        if key in self._due and self._due[key][0] <= due:
            return
        self._sequence += 1
        self._due[key] = (due, self._sequence)
        heapq.heappush(self._heap, (due, self._sequence, key))
        if len(self._heap) > 2 * len(self._due) + 64:
            # Superseded entries stay in the heap; a run that is planned often would fill it over months.
            self._heap = [entry for entry in self._heap if self._due.get(entry[2]) == entry[:2]]
            heapq.heapify(self._heap)
        self._arm()

    def retry(self, key: K, at_least_seconds: float = 0.0, *, is_held: bool = False) -> float:
        """Add `key` after a failure, with a delay that grows with each failure; return the delay in seconds.

        The key does not come back before `at_least_seconds`, which the API server has asked for. With `is_held`, it
        does not come back before the whole delay is over, so that events caused by the failure itself do not shorten
        it.
        """
        failures = self._failures[key] = self._failures.get(key, 0) + 1
        shortest, longest = BACKOFF_SECONDS
        delay: float = min(longest, shortest * 2.0 ** min(failures, 20)) * random.uniform(0.75, 1.0)  # noqa: S311 - jitter
        delay = max(delay, at_least_seconds)
        if is_held or at_least_seconds > 0:
            self._not_before[key] = self._clock() + (delay if is_held else at_least_seconds)
        self.add_after(key, delay)
        return delay

    def succeeded(self, key: K) -> None:
        """Forget the failures of `key`."""
        self._failures.pop(key, None)
        self._not_before.pop(key, None)

    def reset_failures(self) -> None:
        """Forget the failures and waiting times of all keys, because the workers only start now."""
        self._failures.clear()
        self._not_before.clear()
        self._ready_since = dict.fromkeys(self._ready_since, self._loop.time())

    async def get(self) -> K:
        """Wait for a key and take it; call `done()` afterwards."""
        while (taken := self._ready.take((), self._may_work)) is None:
            self._news.clear()
            await self._news.wait()
        path, key = taken
        del self._ready_since[key], self._ready_in[key]
        self._working[key] = path
        self._count(path, 1)
        # The worker sees the current state, so it does not need the scheduled time, and schedules the key again.
        self._due.pop(key, None)
        return key

    def done(self, key: K) -> None:
        """Mark `key` as processed; it is ready again if it was added meanwhile."""
        self._count(self._working.pop(key), -1)
        self._news.set()
        if key in self._again:
            self._again.discard(key)
            self.add(key)

    def _may_work(self, group: Path) -> bool:
        return self._in_progress[group] < max(1, self._most_in_progress >> len(group))

    def _count(self, path: Path, change: int) -> None:
        for length in range(len(path) + 1):
            group = path[:length]
            self._in_progress[group] += change
            if not self._in_progress[group]:
                del self._in_progress[group]

    def _arm(self) -> None:
        if self._timer is not None:
            if self._heap and self._heap[0][0] == self._armed_for:
                return  # ten thousand requests at once would leave as many timers to the loop
            self._timer.cancel()
            self._timer = None
        if self._heap:
            self._armed_for = self._heap[0][0]
            # A jump of the clock, for example after a suspend of the machine, is noticed within a minute.
            seconds = min(self._armed_for - self._clock(), LONGEST_SLEEP_SECONDS)
            self._timer = self._loop.call_later(max(0.0, seconds), self._fire)

    def _fire(self) -> None:
        self._timer = None
        now = self._clock()
        while self._heap and self._heap[0][0] <= now:
            due, sequence, key = heapq.heappop(self._heap)
            if self._due.get(key) == (due, sequence):
                del self._due[key]
                self.add(key)
        self._arm()


class _Line(Generic[K]):
    """The keys of one group in the order of their arrival, and its subgroups in the order of their turns."""

    def __init__(self) -> None:
        self._keys: OrderedDict[K, None] = OrderedDict()
        self._groups: OrderedDict[Hashable, _Line[K]] = OrderedDict()

    def add(self, path: Path, key: K) -> None:
        if not path:
            self._keys[key] = None
            return
        if path[0] not in self._groups:
            self._groups[path[0]] = _Line()
        self._groups[path[0]].add(path[1:], key)

    def discard(self, path: Path, key: K) -> None:
        if not path:
            del self._keys[key]
            return
        self._groups[path[0]].discard(path[1:], key)
        if self._groups[path[0]].is_empty:
            del self._groups[path[0]]

    def take(self, here: Path, may_work: Callable[[Path], bool]) -> tuple[Path, K] | None:
        """Remove and return the next key and its group; None if there is none, or no group may use another worker."""
        if not may_work(here):
            return None
        if self._keys:
            return here, self._keys.popitem(last=False)[0]
        # Only a few groups can be at their limit, because each of these has a large share of all keys in progress.
        for name, line in self._groups.items():
            taken = line.take((*here, name), may_work)
            if taken is not None:
                if line.is_empty:
                    del self._groups[name]
                else:
                    self._groups.move_to_end(name)
                return taken
        return None

    @property
    def is_empty(self) -> bool:
        return not self._keys and not self._groups
