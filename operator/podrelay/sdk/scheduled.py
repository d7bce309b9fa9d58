"""The schedule that started a run, and its times: `controller.scheduled`."""

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from podrelay.api import names


class Scheduled(NamedTuple):
    """A time of a schedule. All times are aware, in UTC.

    Attributes:
        schedule: name of the TaskSchedule.
        time: the time that the run is for, by the schedule. The run may have started later.
        previous: the time before it; None if there is none, or a user has started the run by hand.
        next: the time after it; None if there is none, or a user has started the run by hand.
    """

    schedule: str
    time: datetime
    previous: datetime | None = None
    next: datetime | None = None


def scheduled_in(variables: Mapping[str, str]) -> Scheduled | None:
    """Return what the environment variables of a pod say about the schedule of its run; None without a schedule."""
    name, time = variables.get(names.ENV_SCHEDULE), variables.get(names.ENV_SCHEDULED_FOR)
    if not name or not time:
        return None
    previous, following = (variables.get(field) for field in (names.ENV_SCHEDULED_PREVIOUS, names.ENV_SCHEDULED_NEXT))
    return Scheduled(
        name,
        datetime.fromisoformat(time),
        datetime.fromisoformat(previous) if previous else None,
        datetime.fromisoformat(following) if following else None,
    )
