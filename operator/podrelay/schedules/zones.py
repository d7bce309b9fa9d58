"""Time zones from the package tzdata, whose version is pinned, instead of the files of the machine.

So operator, gateway and CLI of one version agree about future times, regardless of the image or computer they run on.
"""

import re
from functools import cache
from importlib import resources
from typing import Final
from zoneinfo import ZoneInfo

from podrelay.api.errors import PodrelayError

_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+)*")


class TimeZoneError(PodrelayError, ValueError):
    """There is no such time zone."""

    reason = "InvalidSchedule"


@cache
def zone(name: str) -> ZoneInfo:
    """Return a time zone by its name in the IANA database.

    Raises:
        TimeZoneError: there is none of this name.
    """
    if _NAME.fullmatch(name):
        file = resources.files("tzdata").joinpath("zoneinfo", *name.split("/"))
        try:
            with file.open("rb") as data:
                return ZoneInfo.from_file(data, key=name)
        except (OSError, ValueError):
            pass
    raise TimeZoneError(f"{name!r} is not a time zone of the IANA database; use for example Europe/Vienna or UTC")
