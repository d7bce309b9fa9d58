"""All times of a schedule: its rules without its exclusions, between its start and its end."""

import hashlib
import heapq
import json
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from functools import partial
from itertools import islice
from typing import Any, Final, Protocol, TypeVar
from zoneinfo import ZoneInfo

from podrelay.api import limits
from podrelay.api.errors import PodrelayError
from podrelay.schedules import durations, zones
from podrelay.schedules.cron import LAST_YEAR, Cron, next_day

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST: Final = datetime(1000, 1, 1, tzinfo=UTC)
_LAST: Final = datetime(LAST_YEAR, 1, 1, tzinfo=UTC)
_LOOK_BACK: Final = tuple(
    timedelta(minutes=minutes) for minutes in (2, 61, 1500, 45_000, 540_000, 4_300_000, 22_000_000)
)
"""How far to look for the time before another one: up to 42 years, in growing steps."""
_MOST_EXCLUDED: Final = 5000
"""So many excluded periods in a row end the search, so that a schedule that excludes all of its times costs little."""
_SECONDS: Final = timedelta(seconds=1)

T = TypeVar("T")


class TimetableError(PodrelayError, ValueError):
    """The rules of a schedule are invalid; the message says which, and why."""

    reason = "InvalidSchedule"


class Rule(Protocol):
    """A rule for times."""

    def after(self, at: datetime) -> Iterator[datetime]:
        """Yield all times later than `at`, in order, each once."""


class Every:
    """A fixed interval, counted from 1970-01-01T00:00:00Z.

    Args:
        interval: whole seconds, at least 10.
        offset: moves all times; shorter than the interval.

    Raises:
        TimetableError: the interval is too short, or the offset too long.
    """

    def __init__(self, interval: timedelta, offset: timedelta = timedelta()) -> None:
        if interval < timedelta(seconds=limits.SHORTEST_EVERY_SECONDS):
            raise TimetableError(f"every must be at least {limits.SHORTEST_EVERY_SECONDS}s")
        if offset >= interval:
            raise TimetableError("offset must be shorter than every")
        self._interval = interval
        self._offset = offset

    def after(self, at: datetime) -> Iterator[datetime]:
        """Yield all times later than `at`, in order."""
        begin = _EPOCH + self._offset
        time = begin + ((at - begin) // self._interval + 1) * self._interval
        while time < _LAST:
            yield time
            time += self._interval


class Timetable:
    """The times of a schedule, as instants in UTC with whole seconds.

    Args:
        spec: the spec of a TaskSchedule, as in JSON; only the fields about times are read.

    Raises:
        TimetableError: a rule, the time zone, or a time is invalid.
    """

    def __init__(self, spec: Mapping[str, Any]) -> None:
        self._zone = _checked("timeZone", partial(zones.zone, str(spec.get("timeZone") or "UTC")))
        follows_clock = spec.get("daylightSaving") == "Literal"
        self._rules = [
            _checked(f"schedules[{number}]", partial(_rule, item, self._zone, follows_clock=follows_clock))
            for number, item in enumerate(spec.get("schedules") or ())
        ]
        self._exclusions = [
            _checked(f"exclude[{number}]", partial(_Exclusion, item, self._zone))
            for number, item in enumerate(spec.get("exclude") or ())
        ]
        self._begin = _checked("startAt", partial(_time, spec.get("startAt"), _FIRST))
        self._end = _checked("endAt", partial(_time, spec.get("endAt"), _LAST))
        relevant = ("schedules", "exclude", "timeZone", "daylightSaving", "startAt", "endAt")
        self.identity = _hash({name: spec.get(name) for name in relevant})
        """Differs from that of timetables with other rules."""

    def after(self, at: datetime) -> Iterator[datetime]:
        """Yield all times later than `at`, in order, each once."""
        at = max(at, self._begin - _SECONDS)
        for _ in range(_MOST_EXCLUDED):
            until = None
            for time in self._with_excluded(at):
                until = self._excluded_until(time)
                if until is not None:
                    break
                yield time
            if until is None:
                return
            at = max(until, time) - _SECONDS  # a time at its end is not excluded

    def _with_excluded(self, at: datetime) -> Iterator[datetime]:
        last = at
        for time in heapq.merge(*(rule.after(at) for rule in self._rules)):
            if time >= self._end:
                return
            if time != last:
                last = time
                yield time

    def _excluded_until(self, time: datetime) -> datetime | None:
        """Return until when a time and those that follow are excluded; None if it is not excluded."""
        ends = (exclusion.end_of(time) for exclusion in self._exclusions)
        return max((end for end in ends if end is not None), default=None)

    def next(self, at: datetime, count: int) -> list[datetime]:
        """Return the first `count` times later than `at`, or fewer if there are no more."""
        return list(islice(self.after(at), count))

    def before(self, at: datetime) -> datetime | None:
        """Return the last time earlier than `at`; None if there is none in 42 years."""
        for step in _LOOK_BACK:
            begin = max(at - step, _FIRST) if at - _FIRST > step else _FIRST
            found: datetime | None = None
            for time in self.after(begin):
                if time >= at:
                    break
                found = time
            if found is not None or begin <= self._begin:
                return found
        return None


class _Exclusion:
    def __init__(self, item: Mapping[str, Any], zone: ZoneInfo) -> None:
        self._zone = zone
        self._cron = Cron(item["cron"], zone) if item.get("cron") else None
        self._date = date.fromisoformat(item["date"]) if item.get("date") else None
        self._from = _time(item.get("from"), _FIRST)
        self._until = _time(item.get("until"), _LAST)

    def end_of(self, time: datetime) -> datetime | None:
        """Return until when a time and those that follow are excluded; None if it is not excluded."""
        if self._cron is not None:
            return self._cron.end_of_match(time)
        if self._date is not None:
            local = time.astimezone(self._zone)
            return next_day(local) if local.date() == self._date else None
        return self._until if self._from <= time < self._until else None


def in_text(time: datetime) -> str:
    """Return a time as the status and the environment of pods show it: 2026-03-28T01:30:00Z."""
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _rule(item: Mapping[str, Any], zone: ZoneInfo, *, follows_clock: bool) -> Rule:
    if item.get("cron"):
        return Cron(item["cron"], zone, follows_clock=follows_clock)
    return Every(durations.parse(item.get("every") or ""), durations.parse(item.get("offset") or "0s"))


def _checked(where: str, make: Callable[[], T]) -> T:
    try:
        return make()
    except (PodrelayError, ValueError, OverflowError) as error:
        raise TimetableError(f"{where}: {error}") from error


def _time(value: str | None, default: datetime) -> datetime:
    if not value:
        return default
    time = datetime.fromisoformat(value)
    if time.tzinfo is None:
        raise TimetableError(f"{value} needs a time zone: {value}Z is UTC")
    return max(_FIRST, min(_LAST, time.astimezone(UTC)))


def _hash(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]
