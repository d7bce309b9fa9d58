"""Counts and durations for a dashboard. Pure."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, TypeVar

from podrelay.api import names
from podrelay.api.phases import FAILED, STATUS_WORDS, SUCCEEDED
from podrelay.gateway.cache import Change, Collection
from podrelay.gateway.objects import Run
from podrelay.gateway.ordered import Ordered

V = TypeVar("V")

MAX_HOURS: Final = 168
"""The hours that are shown: a week."""
_HOUR_SECONDS: Final = 3600


@dataclass(frozen=True)
class Spread:
    """The spread of some values: the median, the value that 95% of them do not exceed, and the greatest one."""

    median: float
    p95: float
    longest: float

    @classmethod
    def of(cls, ordered: Sequence[float]) -> "Spread | None":
        """Return the spread of sorted values, or None if there are none."""
        return cls(_quantile(ordered, 0.5), _quantile(ordered, 0.95), ordered[-1]) if ordered else None


@dataclass(frozen=True)
class OfDefinition:
    """The runs of one definition.

    Attributes:
        definition_id: id of the definition.
        by_status: how many runs have which status.
        durations: seconds from the creation of the first pod to the end, of finished runs.
        queue_seconds: seconds from when a run could have started to its first pod.
        iterations: of finished runs.
        success_rate: the share of succeeded runs among those that have succeeded or failed; None without such runs.
    """

    definition_id: str
    by_status: dict[str, int]
    durations: Spread | None
    queue_seconds: Spread | None = None
    iterations: Spread | None = None
    success_rate: float | None = None


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
    durations: Spread | None


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
            by_definition=[some.of_definition(name) for name, some in sorted(shown.items())],
            by_hour=counts.hours(now),
            durations=counts.durations(),
        )

    def of_definition(self, name: str) -> OfDefinition:
        """Return the statistics of one definition, given its resource name."""
        return self._by_definition.get(name, _Counts()).of_definition(name)


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

    def namespaces(self) -> list[str]:
        """Return the namespaces that have runs, sorted."""
        return sorted(namespace for namespace in self._tallies if namespace is not None)

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
    times = run.metadata.creation_timestamp, status.started_at, status.finished_at
    return run.spec.definition, run.phase, times, status.iterations if run.is_finished else None


class _Counts:
    """The counters of all runs, or of those of one definition."""

    def __init__(self) -> None:
        self.by_status: Counter[str] = Counter()
        self._created: Counter[int] = Counter()
        self._finished: defaultdict[int, Counter[str]] = defaultdict(Counter)
        self._durations: Ordered[float] = Ordered()
        self._queue_seconds: Ordered[float] = Ordered()
        self._iterations: Ordered[float] = Ordered()

    def count(self, run: Run, by: int) -> None:
        """Add a run (`by` is 1) or subtract it (-1)."""
        status, word = run.status, STATUS_WORDS[run.phase]
        _count(self.by_status, word, by)
        _count(self._created, _hour(run.metadata.creation_timestamp), by)
        _put(self._queue_seconds, queue_seconds(run), by)
        if status.finished_at is None:
            return
        hour = _hour(status.finished_at)
        _count(self._finished[hour], word, by)
        if not self._finished[hour]:
            del self._finished[hour]
        _put(self._durations, duration(run), by)
        _put(self._iterations, status.iterations, by)

    def durations(self) -> Spread | None:
        """Return the durations, or None if no run has finished."""
        return Spread.of(self._durations.values())

    def of_definition(self, name: str) -> OfDefinition:
        """Return the statistics of the definition of this name, which all counted runs have."""
        return OfDefinition(
            definition_id=names.definition_id(name),
            by_status=_sorted(self.by_status),
            durations=self.durations(),
            queue_seconds=Spread.of(self._queue_seconds.values()),
            iterations=Spread.of(self._iterations.values()),
            success_rate=success_rate(self.by_status),
        )

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


def duration(run: Run) -> float | None:
    """Return the seconds from the creation of the first pod of a run to its end; None without a pod, or an end."""
    started, finished = run.status.started_at, run.status.finished_at
    return None if started is None or finished is None else (finished - started).total_seconds()


def queue_seconds(run: Run) -> float | None:
    """Return the seconds from when a run could have started, after its delay, to its first pod; None without a pod."""
    created, started = run.metadata.creation_timestamp, run.status.started_at
    if started is None:
        return None
    due = max(created + timedelta(seconds=run.spec.delay_seconds or 0), run.spec.start_at or created)
    return max(0.0, (started - due).total_seconds())


def success_rate(by_status: Mapping[str, int]) -> float | None:
    """Return the share of succeeded runs among those that have succeeded or failed; None without such runs."""
    succeeded, failed = by_status.get(STATUS_WORDS[SUCCEEDED], 0), by_status.get(STATUS_WORDS[FAILED], 0)
    return succeeded / (succeeded + failed) if succeeded or failed else None


def _put(ordered: Ordered[float], value: float | None, by: int) -> None:
    if value is not None:
        (ordered.add if by > 0 else ordered.discard)(value)


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
