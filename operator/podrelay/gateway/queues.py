"""Which runs of each definition wait for a slot, in the order in which they get one, and which have a pod. In memory.

It follows the cache, so that a position in a queue of 10,000 runs costs nothing to find. The operator counts slots by
the pods, which the gateway does not see: a run has a slot here while its status names its current pod.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Final, TypeAlias

from podrelay.gateway.cache import Change, Collection
from podrelay.gateway.objects import Run
from podrelay.gateway.ordered import Ordered
from podrelay.kube.resources import Key

QUEUED: Final = "Queued"

Place: TypeAlias = tuple[datetime, Key]
"""The operator's order within a definition: creation, then the name."""


class Line:
    """The runs of one definition that have a slot, or wait for one."""

    def __init__(self) -> None:
        self.waiting: Ordered[Place] = Ordered()
        self.holding: Ordered[Place] = Ordered()

    def position(self, run: Run) -> int:
        """Return the position of a waiting run, from 1."""
        return bisect_left(self.waiting.values(), _place(run)) + 1

    def keys(self, runs: Ordered[Place], first: int, count: int) -> Sequence[Key]:
        """Return the keys of up to `count` runs, from number `first`, which begins at 0."""
        return [key for _, key in runs.values()[first : first + count]]


class Queues:
    """Keeps the line of each definition current.

    Args:
        runs: the collection to follow; it must still be empty.
    """

    def __init__(self, runs: Collection[Run]) -> None:
        self._lines: defaultdict[Key, Line] = defaultdict(Line)
        runs.listen(self._hear)

    def of(self, definition: Key) -> Line:
        """Return the line of a definition."""
        return self._lines.get(definition) or Line()

    def _hear(self, change: Change[Run]) -> None:
        before, after = change.before, None if change.gone else change.obj
        if before is not None and after is not None and _state(before) == _state(after):
            return
        if before is not None:
            self._leave(before)
        if after is not None:
            self._enter(after)

    def _enter(self, run: Run) -> None:
        if is_queued(run):
            self._lines[_definition(run)].waiting.add(_place(run))
        elif has_slot(run):
            self._lines[_definition(run)].holding.add(_place(run))

    def _leave(self, run: Run) -> None:
        key = _definition(run)
        line = self._lines.get(key)
        if line is None:
            return
        if is_queued(run):
            line.waiting.discard(_place(run))
        elif has_slot(run):
            line.holding.discard(_place(run))
        if not line.waiting and not line.holding:
            del self._lines[key]


def is_queued(run: Run) -> bool:
    """Return whether a run waits for a slot."""
    return not run.is_finished and run.status.reason == QUEUED


def has_slot(run: Run) -> bool:
    """Return whether a run has a pod, and with it a slot."""
    return not run.is_finished and run.status.reason != QUEUED and run.status.current is not None


def _state(run: Run) -> tuple[object, ...]:
    return _definition(run), _place(run), is_queued(run), has_slot(run)


def _definition(run: Run) -> Key:
    return Key(run.metadata.namespace, run.spec.definition)


def _place(run: Run) -> Place:
    return run.metadata.creation_timestamp, run.key
