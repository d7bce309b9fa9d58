"""Exceptions by which a task says itself whether another try is of any use."""

from datetime import UTC, datetime, timedelta
from typing import Any

from podrelay.api import limits


class Retry(Exception):  # noqa: N818 - it reads as what it asks for: raise Retry(...)
    """This try has failed, but another one may not: `raise Retry("rate limited", after=30)`.

    Whatever `retry.on` of the definition says there is another try, as long as `retry.limit` allows one.

    Args:
        message: for people.
        after: pause before the next try: seconds, a timedelta, or the time at which it starts (without a time zone it
            is taken as UTC); at most 355 days. None: as `retry` of the definition says.
        code: for programs; default: the name of the class.
        data: JSON object with more about it.

    Attributes:
        after_seconds: the pause in seconds, or None.

    Raises:
        TypeError: `after` is none of these.
    """

    def __init__(
        self,
        message: str,
        *,
        after: float | timedelta | datetime | None = None,
        code: str | None = None,
        data: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.after_seconds = None if after is None else _seconds(after)
        self.code = code
        self.data = data


class Fatal(Exception):  # noqa: N818 - as above
    """This has failed and would fail again: `raise Fatal("no such shop")`. There is no further try.

    Args:
        message: for people.
        code: for programs; default: the name of the class.
        data: JSON object with more about it.
    """

    def __init__(self, message: str, *, code: str | None = None, data: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.data = data


def seconds_until(date: datetime) -> float:
    """Return the seconds from now to `date`, below 0 if it is over; without a time zone it is taken as UTC."""
    aware = date if date.tzinfo is not None else date.replace(tzinfo=UTC)
    return (aware - datetime.now(UTC)).total_seconds()


def _seconds(after: float | timedelta | datetime) -> float:
    if isinstance(after, datetime):
        seconds = seconds_until(after)
    elif isinstance(after, timedelta):
        seconds = after.total_seconds()
    elif isinstance(after, int | float):
        seconds = float(after)
    else:
        raise TypeError(f"after must be seconds, a timedelta or a datetime, not {type(after).__name__}")
    if not seconds > 0:  # NaN, too
        return 0.0
    return min(seconds, float(limits.MAX_WAIT_SECONDS))
