"""The output of the planner: actions, or the wanted status."""

from datetime import datetime

import msgspec

from podrelay.operator.objects.schedules import TaskScheduleStatus


class StartRun(msgspec.Struct, frozen=True):
    """Create the run for a time, unless it exists."""

    name: str
    time: datetime
    previous: datetime | None
    next: datetime | None
    due: datetime
    """When it was to be created: the time with its jitter; for a backfill, now."""
    backfill: str | None = None


class ConfirmRun(msgspec.Struct, frozen=True):
    """Check with a live read whether an active run that is not in the cache still exists."""

    name: str


class AbortRun(msgspec.Struct, frozen=True):
    """Abort an unfinished run, because another one is to replace it."""

    name: str
    uid: str
    message: str


class SuspendSchedule(msgspec.Struct, frozen=True):
    """Suspend the schedule, because its runs fail."""

    note: str


Action = StartRun | ConfirmRun | AbortRun | SuspendSchedule


class SchedulePlan(msgspec.Struct, frozen=True):
    """What to do now: the actions, after which the schedule is planned again; without actions, the status to write."""

    actions: tuple[Action, ...] = ()
    status: TaskScheduleStatus | None = None
    requeue_at: datetime | None = None
    """When something is due again, if nothing else happens."""
    is_partial: bool = False
    """Whether more remains to be decided now, once the status is written."""
