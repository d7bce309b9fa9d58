"""The input of the planner: everything that is known about one TaskSchedule at one moment."""

import hashlib
from collections.abc import Callable, Set
from datetime import datetime, timedelta

import msgspec

from podrelay.operator.objects.runs import TaskRun
from podrelay.operator.objects.schedules import TaskSchedule
from podrelay.schedules.timetable import Timetable


class ScheduleView(msgspec.Struct, frozen=True):
    """All that is known about one schedule."""

    schedule: TaskSchedule
    now: datetime
    """When the view was made, by this operator's clock."""
    timetable: Timetable | None
    """None if the rules are invalid."""
    problem: str = ""
    """Why the rules are invalid."""
    find: Callable[[str], TaskRun | None] = lambda _name: None
    """Returns the run of this name in the namespace of the schedule, as far as it is known."""
    unfinished: tuple[TaskRun, ...] = ()
    """The unfinished runs of the schedule that are known."""
    started: Set[str] = frozenset()
    """Names of runs that have been created, or found to exist, since the status was written."""
    gone: Set[str] = frozenset()
    """Names of runs that a live read has not found."""
    taken: Set[str] = frozenset()
    """Names that a run has that is not of this schedule, or for another time."""
    refusal: str | None = None
    """Why the API server refused to create a run just now."""
    excused: timedelta = timedelta()
    """How long the operator has been busy starting runs of schedules: times of that period are not late."""

    @property
    def jitter(self) -> timedelta:
        """By how much the runs start later than their times; derived from the UID, so it never changes."""
        own = self.schedule
        if not own.spec.jitter_seconds:
            return timedelta()
        share = int.from_bytes(hashlib.sha256(own.metadata.uid.encode()).digest()[:6]) / 2**48
        return timedelta(seconds=own.spec.jitter_seconds * share)
