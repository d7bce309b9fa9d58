"""Exceptions with which a task decides whether it is retried."""

from datetime import UTC, datetime, timedelta
from typing import Any

from podrelay.api import limits


class Retry(Exception):  # noqa: N818 - reads like a statement: raise Retry(...)
    """This attempt has failed, but a retry may succeed: `raise Retry("rate limited", after=30)`.

    The iteration is retried regardless of `retry.on` of the definition, as long as `retry.limit` allows it.

    Args:
        message: what happened, in plain text.
        after: pause before the next attempt: seconds, a timedelta, or the time at which it starts (UTC if it has no
            time zone); at most 355 days. None: as configured by `retry` of the definition.
        code: machine-readable error code; default: the name of the class.
        data: a JSON object with details.

    Attributes:
        after_seconds: the pause in seconds, or None.

    Raises:
        TypeError: `after` is of another type.
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
    """The iteration has failed and a retry would not help: `raise Fatal("no such shop")`. It is not retried.

    Args:
        message: what happened, in plain text.
        code: machine-readable error code; default: the name of the class.
        data: a JSON object with details.
    """

    def __init__(self, message: str, *, code: str | None = None, data: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.data = data


def seconds_until(date: datetime) -> float:
    """Return the seconds from now to `date`, negative if it is in the past; without a time zone, it is UTC."""
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
