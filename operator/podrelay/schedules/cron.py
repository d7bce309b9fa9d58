"""The times of one cron expression in a time zone, as instants in UTC.

cronsim parses the expression and finds the matching times of a calendar without a time zone. Which instants these are,
also when clocks change, is decided here.
"""

from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from podrelay.api.errors import PodrelayError

_NAMES: Final = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_ANY: Final = datetime(2000, 1, 1)
_MINUTE: Final = timedelta(minutes=1)
_LONGEST_CHANGE: Final = timedelta(hours=26)
"""No clock was ever changed by more: Samoa left out a whole day in 2011."""
LAST_YEAR: Final = 9000
"""Later times are not computed, so that no calculation leaves the calendar of Python."""


class CronError(PodrelayError, ValueError):
    """A cron expression is invalid; the message says what is wrong with it."""

    reason = "InvalidSchedule"


class Cron:
    """A cron expression in a time zone.

    Args:
        expression: five fields, or a name such as @daily.
        zone: the time zone.
        follows_clock: whether times that are left out when clocks change do not count, and times that come twice count
            twice; otherwise, this applies only to expressions whose minute or hour begins with an asterisk, as in
            Debian's cron.

    Raises:
        CronError: the expression is invalid.
    """

    def __init__(self, expression: str, zone: ZoneInfo, *, follows_clock: bool = False) -> None:
        text = " ".join(expression.split())
        self._expression = _NAMES.get(text.lower(), text)
        fields = self._expression.split()
        if len(fields) != 5:
            raise CronError(
                f"{expression!r} has {len(fields)} fields; a cron expression has five: minute, hour, day of the month, "
                "month, day of the week"
            )
        try:
            self._matcher = CronSim(self._expression, _ANY)
        except CronSimError as error:
            raise CronError(f"{expression!r} is not a cron expression: {error}") from error
        except (ValueError, TypeError, AssertionError) as error:
            raise CronError(f"{expression!r} is not a cron expression") from error
        self._zone = zone
        self._follows_clock = follows_clock or fields[0].startswith("*") or fields[1].startswith("*")

    def end_of_match(self, at: datetime) -> datetime | None:
        """Return until when all minutes match, as far as that is easily known; None if that of `at` does not match.

        That is the end of the day if every minute of a day matches, or else of the hour, or else of the minute.
        """
        local, cron = at.astimezone(self._zone), self._matcher
        is_match = (
            local.minute in cron.minutes
            and local.hour in cron.hours
            and local.month in cron.months
            and cron.match_day(local.date())
        )
        if not is_match:
            return None
        minutes = 60 if len(cron.minutes) == 60 else 1
        if minutes == 60 and len(cron.hours) == 24:
            return next_day(local)
        begin = local.replace(minute=local.minute // minutes * minutes, second=0, microsecond=0)
        return max(begin.astimezone(UTC) + minutes * _MINUTE, at + timedelta(seconds=1))

    def after(self, at: datetime) -> Iterator[datetime]:
        """Yield all times later than `at`, in order, each once."""
        last = at
        for instant in self._instants(at):
            if instant > last:
                last = instant
                yield instant

    def _instants(self, at: datetime) -> Iterator[datetime]:
        """Yield the times in order, maybe more than once, from at latest the first one later than `at`."""
        second_passes: deque[datetime] = deque()
        for local in self._local_times(at):
            first = _instant(local, self._zone)
            if first is None:
                if self._follows_clock:
                    continue
                first = _end_of_gap(local, self._zone)
            while second_passes and second_passes[0] < first:
                yield second_passes.popleft()
            yield first
            if self._follows_clock:
                second = local.replace(tzinfo=self._zone, fold=1).astimezone(UTC)
                if second > first:
                    second_passes.append(second)
        yield from second_passes

    def _local_times(self, at: datetime) -> Iterator[datetime]:
        """Yield the matching times of the calendar, from early enough for all instants later than `at`."""
        begin = at.astimezone(self._zone)
        # Around a change, an earlier time of the calendar may be a later instant, by no more than the change.
        around = [(at + part * _LONGEST_CHANGE).astimezone(self._zone) for part in (-1, -0.5, 0, 0.5, 1)]
        offsets = [other.utcoffset() or timedelta() for other in around]
        early = begin.replace(tzinfo=None, fold=0) - (max(offsets) - min(offsets)) - timedelta(seconds=1)
        for local in CronSim(self._expression, early):
            if local.year > LAST_YEAR:
                return
            yield local


def next_day(local: datetime) -> datetime:
    """Return the instant at which the next day begins in the time zone of `local`."""
    day = local.replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None, fold=0) + timedelta(days=1)
    assert isinstance(local.tzinfo, ZoneInfo)  # noqa: S101 - the caller has converted it
    return _instant(day, local.tzinfo) or _end_of_gap(day, local.tzinfo)


def _exists(local: datetime, zone: ZoneInfo) -> bool:
    aware = local.replace(tzinfo=zone)
    return aware.astimezone(UTC).astimezone(zone).replace(tzinfo=None, fold=0) == local


def _instant(local: datetime, zone: ZoneInfo) -> datetime | None:
    """Return the first instant at which clocks show `local`; None if they never do."""
    return local.replace(tzinfo=zone).astimezone(UTC) if _exists(local, zone) else None


def _end_of_gap(local: datetime, zone: ZoneInfo) -> datetime:
    """Return the instant of the change that leaves out `local`."""
    while (instant := _instant(local, zone)) is None:
        local += _MINUTE
    return instant
