"""Counts and durations for a dashboard. Pure."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, TypeVar

from podrelay.api import names
from podrelay.api.phases import STATUS_WORDS
from podrelay.gateway.cache import Change, Collection
from podrelay.gateway.objects import Run
from podrelay.gateway.ordered import Ordered

V = TypeVar("V")

MAX_HOURS: Final = 168
"""The hours that are shown: a week."""
_HOUR_SECONDS: Final = 3600


@dataclass(frozen=True)
class Durations:
    """Seconds from the creation of the first pod to the end, of finished runs."""

    median: float
    p95: float
    longest: float


@dataclass(frozen=True)
class OfDefinition:
    """The runs of one definition."""

    definition_id: str
    by_status: dict[str, int]
    durations: Durations | None


@dataclass(frozen=True)
class OfHour:
    """The runs that were created or finished in one hour."""

    hour: datetime
    created: int
    finished: dict[str, int]


@dataclass(frozen=True)
class Statistics:
    """The statistics of a set of runs."""

    total: int
    by_status: dict[str, int]
    by_definition: list[OfDefinition]
    by_hour: list[OfHour]
    durations: Durations | None


class Tally:
    """Counters of runs, updated with each change, so that the runs need not be counted again."""

    def __init__(self) -> None:
        self._all = _Counts()
        self._by_definition: defaultdict[str, _Counts] = defaultdict(_Counts)

    def add(self, run: Run) -> None:
        """Count a run."""
        for counts in (self._all, self._by_definition[run.spec.definition]):
            counts.count(run, 1)

    def remove(self, run: Run) -> None:
        """Subtract a run that was added in exactly this state."""
        of_definition = self._by_definition[run.spec.definition]
        for counts in (self._all, of_definition):
            counts.count(run, -1)
        if not of_definition.by_status:
            del self._by_definition[run.spec.definition]

    @property
    def definitions(self) -> int:
        """How many definitions have runs."""
        return len(self._by_definition)

    def statistics(self, now: datetime, definition: str | None = None) -> Statistics:
        """Return the statistics, with those hours of the week before `now` in which runs were created or finished.

        Args:
            now: the end of the week.
            definition: include only the definition of this name.
        """
        shown: Mapping[str, _Counts] = self._by_definition
        if definition is not None:
            shown = {definition: shown[definition]} if definition in shown else {}
        counts = self._all if definition is None else shown.get(definition, _Counts())
        return Statistics(
            total=counts.by_status.total(),
            by_status=_sorted(counts.by_status),
            by_definition=[
                OfDefinition(names.definition_id(name), _sorted(some.by_status), some.durations())
                for name, some in sorted(shown.items())
            ],
            by_hour=counts.hours(now),
            durations=counts.durations(),
        )


class Tallies:
    """Keeps a tally for each namespace, and one for all namespaces.

    Args:
        runs: the collection to follow; it must still be empty.
    """

    def __init__(self, runs: Collection[Run]) -> None:
        self._tallies: defaultdict[str | None, Tally] = defaultdict(Tally)
        runs.listen(self._hear)

    def of(self, namespace: str | None) -> Tally:
        """Return the tally of a namespace, or of all namespaces."""
        return self._tallies.get(namespace, Tally())

    def _hear(self, change: Change[Run]) -> None:
        if change.before is not None and not change.gone and _counted(change.before) == _counted(change.obj):
            return
        for namespace in (None, change.obj.key.namespace):
            tally = self._tallies[namespace]
            if change.before is not None:
                tally.remove(change.before)
            if not change.gone:
                tally.add(change.obj)
            if not tally.definitions:
                del self._tallies[namespace]


def _counted(run: Run) -> tuple[object, ...]:
    status = run.status
    return run.spec.definition, run.phase, run.metadata.creation_timestamp, status.started_at, status.finished_at


class _Counts:
    """The counters of all runs, or of those of one definition."""

    def __init__(self) -> None:
        self.by_status: Counter[str] = Counter()
        self._created: Counter[int] = Counter()
        self._finished: defaultdict[int, Counter[str]] = defaultdict(Counter)
        self._durations: Ordered[float] = Ordered()

    def count(self, run: Run, by: int) -> None:
        """Add a run (`by` is 1) or subtract it (-1)."""
        status, word = run.status, STATUS_WORDS[run.phase]
        _count(self.by_status, word, by)
        _count(self._created, _hour(run.metadata.creation_timestamp), by)
        if status.finished_at is None:
            return
        hour = _hour(status.finished_at)
        _count(self._finished[hour], word, by)
        if not self._finished[hour]:
            del self._finished[hour]
        if status.started_at is not None:
            seconds = (status.finished_at - status.started_at).total_seconds()
            (self._durations.add if by > 0 else self._durations.discard)(seconds)

    def durations(self) -> Durations | None:
        """Return the durations, or None if no run has finished."""
        seconds = self._durations.values()
        return Durations(_quantile(seconds, 0.5), _quantile(seconds, 0.95), seconds[-1]) if seconds else None

    def hours(self, now: datetime) -> list[OfHour]:
        """Return the counts of each hour of the week before `now`, without hours in which nothing has happened."""
        first = _hour(now) - MAX_HOURS + 1
        hours = sorted(hour for hour in self._created.keys() | self._finished.keys() if hour >= first)
        return [
            OfHour(
                datetime.fromtimestamp(hour * _HOUR_SECONDS, UTC),
                self._created[hour],
                _sorted(self._finished.get(hour, Counter())),
            )
            for hour in hours
        ]


def _count(counter: Counter[V], value: V, by: int) -> None:
    counter[value] += by
    if not counter[value]:
        del counter[value]


def _sorted(counter: Counter[str]) -> dict[str, int]:
    return dict(sorted(counter.items()))


def _quantile(ordered: Sequence[float], share: float) -> float:
    """Return the smallest value that is not exceeded by at least this share of the values (nearest rank)."""
    return ordered[max(0, -int(-share * len(ordered) // 1) - 1)]


def _hour(moment: datetime) -> int:
    """Return the number of the hour since 1970."""
    return int(moment.timestamp() // _HOUR_SECONDS)
