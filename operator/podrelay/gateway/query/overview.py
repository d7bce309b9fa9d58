"""What has happened in a time range: runs that were created, and runs that finished, with reasons and durations."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from podrelay.api import names
from podrelay.api.phases import FAILED, STATUS_WORDS
from podrelay.gateway import finished_runs
from podrelay.gateway.cache import Age, Candidates
from podrelay.gateway.call import Call
from podrelay.gateway.errors import ValidationError
from podrelay.gateway.objects import Run
from podrelay.gateway.statistics import Spread, duration, queue_seconds, success_rate
from podrelay.kube.resources import Key

MAX_INTERVALS: Final = 500
MAX_REASONS: Final = 50
"""The most frequent reasons that are shown."""
MIN_SECONDS: Final = 60
"""The shortest interval."""
_DEFAULT_RANGE: Final = timedelta(days=1)
_DEFAULT_INTERVALS: Final = 60
_WEIGHT: Final = 5
"""Counting a run costs as much as five comparisons."""
_PART: Final = 100


@dataclass(frozen=True)
class Asked:
    """The arguments.

    Attributes:
        since: the beginning of the range; None: a day before its end.
        until: the end of the range, which is not part of it; None: now.
        seconds: the length of an interval; None: a sixtieth of the range.
        definition: include only the definition with this name or id.
    """

    since: datetime | None = None
    until: datetime | None = None
    seconds: int | None = None
    definition: str | None = None


@dataclass(frozen=True)
class Interval:
    """One interval.

    Attributes:
        start: when it begins.
        created: how many runs were created in it.
        finished: status -> how many runs finished in it with this status.
    """

    start: datetime
    created: int
    finished: Mapping[str, int]


@dataclass(frozen=True)
class Overview:
    """What has happened in a time range.

    Attributes:
        since: the beginning of the range.
        until: the end of the range, which is not part of it.
        seconds: the length of an interval.
        created: how many runs were created.
        finished: status -> how many runs finished with it.
        failures: reason -> how many runs failed with it.
        success_rate: the share of succeeded runs among those that have succeeded or failed.
        durations: seconds from the creation of the first pod to the end, of the runs that finished.
        queue_seconds: seconds from when a run could have started to its first pod, of the runs that finished.
        iterations: of the runs that finished.
        intervals: all intervals of the range, oldest first.
    """

    since: datetime
    until: datetime
    seconds: int
    created: int
    finished: Mapping[str, int]
    failures: Mapping[str, int]
    success_rate: float | None
    durations: Spread | None
    queue_seconds: Spread | None
    iterations: Spread | None
    intervals: list[Interval]


async def overview(call: Call, asked: Asked, now: datetime) -> Overview:
    """Return what has happened in a time range. The caller's access has been checked before.

    Raises:
        ValidationError: the range is empty, or has too many intervals.
        LimitError: too many runs would have to be counted.
    """
    count = _Count(asked, now)
    name = names.definition_name(asked.definition) if asked.definition else None
    wanted = {} if name is None else {"definition": [name]}
    await _count_created(call, call.cache.runs.candidates(call.scope.namespace, wanted), count, name)
    await _count_finished(call, count, name)
    return count.overview()


async def _count_created(call: Call, candidates: Candidates[Run], count: "_Count", name: str | None) -> None:
    after: Age = (count.since.timestamp(), -1, Key("", ""))
    until = count.until.timestamp()
    while part := candidates.part(after, _PART, newest_first=False):
        call.budget.take_looks(len(part))
        for age, run in part:
            if age[0] >= until:
                return
            if name is None or run.spec.definition == name:
                count.was_created(run)
        after = part[-1][0]
        await call.services.turns.give()


async def _count_finished(call: Call, count: "_Count", name: str | None) -> None:
    ends, until = call.services.finished, count.until.timestamp()
    after = finished_runs.start_of(count.since.timestamp())
    while part := ends.part(call.scope.namespace, after, _PART):
        call.budget.take_looks(_WEIGHT * len(part))
        for end, key in part:
            if end >= until:
                return
            run = call.cache.runs.get(key)
            if run is not None and (name is None or run.spec.definition == name):
                count.has_finished(run)
        after = part[-1]
        await call.services.turns.give()


class _Count:
    """Counts the runs of a range.

    Raises:
        ValidationError: the range is empty, or has too many intervals.
    """

    def __init__(self, asked: Asked, now: datetime) -> None:
        self.until = asked.until or now
        try:
            self.since = asked.since or self.until - _DEFAULT_RANGE
        except OverflowError:
            raise ValidationError("until is too early.", "until") from None
        length = (self.until - self.since).total_seconds()
        if length <= 0:
            raise ValidationError("since must be before until.", "since")
        self._seconds = (
            asked.seconds if asked.seconds is not None else max(MIN_SECONDS, int(length // _DEFAULT_INTERVALS))
        )
        if self._seconds < MIN_SECONDS:
            raise ValidationError(f"intervalSeconds must be at least {MIN_SECONDS}.", "intervalSeconds")
        self._length = int(-(-length // self._seconds))
        if self._length > MAX_INTERVALS:
            raise ValidationError(
                f"This has {self._length} intervals, more than the {MAX_INTERVALS} that are allowed: use longer ones.",
                "intervalSeconds",
            )
        self._created: Counter[int] = Counter()
        self._finished: dict[int, Counter[str]] = {}
        self._failures: Counter[str] = Counter()
        self._durations: list[float] = []
        self._queue_seconds: list[float] = []
        self._iterations: list[float] = []

    def was_created(self, run: Run) -> None:
        """Count a run that was created in the range."""
        self._created[self._number(run.metadata.creation_timestamp)] += 1

    def has_finished(self, run: Run) -> None:
        """Count a run that finished in the range."""
        status = run.status
        if status.finished_at is None:
            return
        self._finished.setdefault(self._number(status.finished_at), Counter())[STATUS_WORDS[run.phase]] += 1
        if run.phase == FAILED:
            self._failures[status.reason or ""] += 1
        for values, value in (
            (self._durations, duration(run)),
            (self._queue_seconds, queue_seconds(run)),
            (self._iterations, status.iterations),
        ):
            if value is not None:
                values.append(value)

    def overview(self) -> Overview:
        """Return what was counted."""
        finished: Counter[str] = Counter()
        for part in self._finished.values():
            finished.update(part)
        return Overview(
            since=self.since,
            until=self.until,
            seconds=self._seconds,
            created=self._created.total(),
            finished=dict(sorted(finished.items())),
            failures=dict(self._failures.most_common(MAX_REASONS)),
            success_rate=success_rate(finished),
            durations=Spread.of(sorted(self._durations)),
            queue_seconds=Spread.of(sorted(self._queue_seconds)),
            iterations=Spread.of(sorted(self._iterations)),
            intervals=[self._interval(number) for number in range(self._length)],
        )

    def _interval(self, number: int) -> Interval:
        start = self.since + timedelta(seconds=number * self._seconds)
        finished = self._finished.get(number, Counter())
        return Interval(start.astimezone(UTC), self._created[number], dict(sorted(finished.items())))

    def _number(self, moment: datetime) -> int:
        return int((moment - self.since).total_seconds() // self._seconds)
