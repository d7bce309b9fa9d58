"""Durations as schedules write them: 90s, 15m, 1h30m."""

import re
from datetime import timedelta
from typing import Final

from podrelay.api.errors import PodrelayError

_DURATION: Final = re.compile(r"(?:(\d{1,5})h)?(?:(\d{1,6})m)?(?:(\d{1,8})s)?")


class DurationError(PodrelayError, ValueError):
    """A duration is invalid; the message shows how to write one."""

    reason = "InvalidSchedule"


def parse(text: str) -> timedelta:
    """Return the duration.

    >>> parse("1h30m")
    datetime.timedelta(seconds=5400)

    Raises:
        DurationError: `text` is not a duration.
    """
    match = _DURATION.fullmatch(text)
    if match is None or not text:
        raise DurationError(f"{text!r} is not a duration; write for example 90s, 15m, 1h30m or 24h")
    hours, minutes, seconds = (int(number or 0) for number in match.groups())
    return timedelta(hours=hours, minutes=minutes, seconds=seconds)
