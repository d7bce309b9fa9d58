"""The finished runs in the order in which they finished, for statistics over a time range. It follows the cache."""

from collections import defaultdict
from typing import Final, TypeAlias

from podrelay.gateway.cache import Change, Collection
from podrelay.gateway.objects import Run
from podrelay.gateway.ordered import Ordered
from podrelay.kube.resources import Key

End: TypeAlias = tuple[float, Key]
"""When a run finished, in seconds since 1970, and which one."""
_NO_KEY: Final = Key("", "")


class FinishedRuns:
    """Keeps the ends of the runs of each namespace, and of all namespaces.

    Args:
        runs: the collection to follow; it must still be empty.
    """

    def __init__(self, runs: Collection[Run]) -> None:
        self._ends: defaultdict[str | None, Ordered[End]] = defaultdict(Ordered)
        runs.listen(self._hear)

    def part(self, namespace: str | None, after: End, count: int) -> list[End]:
        """Return the next ends after one of them, oldest first; an empty list after the last one."""
        ends = self._ends.get(namespace)
        return ends.above(after, count) if ends is not None else []

    def _hear(self, change: Change[Run]) -> None:
        before = _end(change.before) if change.before is not None else None
        after = None if change.gone else _end(change.obj)
        if before == after:
            return
        for namespace in (None, change.obj.key.namespace):
            ends = self._ends[namespace]
            if before is not None:
                ends.discard(before)
            if after is not None:
                ends.add(after)
            if not ends:
                del self._ends[namespace]


def start_of(moment: float) -> End:
    """Return a position before all runs that finished at this time or later."""
    return moment, _NO_KEY


def _end(run: Run) -> End | None:
    return (run.status.finished_at.timestamp(), run.key) if run.status.finished_at is not None else None
