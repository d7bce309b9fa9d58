"""Finds the newest finished runs of a definition, to apply its historyLimit.runs."""

from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Hashable
from datetime import datetime
from typing import Generic, TypeVar

D = TypeVar("D", bound=Hashable)
R = TypeVar("R", bound=Hashable)


class FinishedRuns(Generic[D, R]):
    """Finished runs by definition, ordered by the time of their end. `R` must be orderable, for equal times."""

    def __init__(self) -> None:
        self._ordered: defaultdict[D, list[tuple[datetime, R]]] = defaultdict(list)
        self._places: dict[R, tuple[D, datetime]] = {}

    def add(self, definition: D, run: R, finished_at: datetime) -> bool:
        """Add a finished run; return whether it is a new one."""
        if run in self._places:
            return False
        self._places[run] = (definition, finished_at)
        insort(self._ordered[definition], (finished_at, run))
        return True

    def remove(self, run: R) -> None:
        """Forget a run, if it is known."""
        place = self._places.pop(run, None)
        if place is None:
            return
        definition, finished_at = place
        ordered = self._ordered[definition]
        del ordered[bisect_left(ordered, (finished_at, run))]
        if not ordered:
            del self._ordered[definition]

    def newer_than(self, run: R) -> int:
        """Return how many runs of the same definition have finished later; 0 if the run is not known."""
        place = self._places.get(run)
        if place is None:
            return 0
        definition, finished_at = place
        ordered = self._ordered[definition]
        return len(ordered) - 1 - bisect_left(ordered, (finished_at, run))

    def first_beyond(self, definition: D, limit: int) -> R | None:
        """Return the newest run beyond the `limit` newest ones, if there is one: the run that a new one pushes out."""
        ordered = self._ordered.get(definition, [])
        return ordered[-limit - 1][1] if len(ordered) > limit else None
