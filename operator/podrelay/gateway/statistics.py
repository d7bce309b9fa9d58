"""Counts and durations for a dashboard. Pure."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from podrelay.api import names
from podrelay.gateway.fields import status_word
from podrelay.gateway.objects import Run

MAX_HOURS: Final = 168
"""Hours that are told apart: a week."""


@dataclass(frozen=True)
class Durations:
    """Seconds from the first pod to the end, of finished runs."""

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
    """What has happened in one hour."""

    hour: datetime
    created: int
    finished: dict[str, int]


@dataclass(frozen=True)
class Statistics:
    """Of some runs."""

    total: int
    by_status: dict[str, int]
    by_definition: list[OfDefinition]
    by_hour: list[OfHour]
    durations: Durations | None


def of(runs: Iterable[Run], now: datetime) -> Statistics:
    """Count runs; hours are told apart for the last week before `now`, those in which nothing happened left out."""
    by_definition: dict[str, list[Run]] = {}
    every: list[Run] = []
    for run in runs:
        every.append(run)
        by_definition.setdefault(run.spec.definition, []).append(run)
    return Statistics(
        total=len(every),
        by_status=_by_status(every),
        by_definition=[
            OfDefinition(names.definition_id(name), _by_status(some), _durations(some))
            for name, some in sorted(by_definition.items())
        ],
        by_hour=_by_hour(every, now),
        durations=_durations(every),
    )


def _by_status(runs: Iterable[Run]) -> dict[str, int]:
    return dict(sorted(Counter(status_word(run.phase) for run in runs).items()))


def _durations(runs: Iterable[Run]) -> Durations | None:
    seconds = sorted(
        (run.status.finished_at - run.status.started_at).total_seconds()
        for run in runs
        if run.status.finished_at is not None and run.status.started_at is not None
    )
    if not seconds:
        return None
    return Durations(_quantile(seconds, 0.5), _quantile(seconds, 0.95), seconds[-1])


def _quantile(ordered: Sequence[float], share: float) -> float:
    """Return the smallest value that at least this share does not exceed (nearest rank)."""
    return ordered[max(0, -int(-share * len(ordered) // 1) - 1)]


def _by_hour(runs: Iterable[Run], now: datetime) -> list[OfHour]:
    first = _hour(now) - timedelta(hours=MAX_HOURS - 1)
    created: Counter[datetime] = Counter()
    finished: dict[datetime, Counter[str]] = {}
    for run in runs:
        created[_hour(run.metadata.creation_timestamp)] += 1
        if run.status.finished_at is not None:
            finished.setdefault(_hour(run.status.finished_at), Counter())[status_word(run.phase)] += 1
    hours = sorted(hour for hour in created.keys() | finished.keys() if hour >= first)
    return [OfHour(hour, created[hour], dict(sorted(finished.get(hour, Counter()).items()))) for hour in hours]


def _hour(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
