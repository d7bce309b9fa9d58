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

    def matches(self, at: datetime) -> bool:
        """Return whether the local time of an instant matches the expression, in whole minutes."""
        local = at.astimezone(self._zone)
        cron = self._matcher
        return (
            local.minute in cron.minutes
            and local.hour in cron.hours
            and local.month in cron.months
            and cron.match_day(local.date())
        )

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
        # Around a change, an earlier time of the calendar may be a later instant.
        around = (at + part * _LONGEST_CHANGE for part in (-1, -0.5, 0.5, 1))
        is_near_change = any(other.astimezone(self._zone).utcoffset() != begin.utcoffset() for other in around)
        early = begin.replace(tzinfo=None, fold=0) - (_LONGEST_CHANGE if is_near_change else timedelta(seconds=1))
        for local in CronSim(self._expression, early):
            if local.year > LAST_YEAR:
                return
            yield local


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
