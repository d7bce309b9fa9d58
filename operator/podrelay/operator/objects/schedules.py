"""Projections of TaskSchedules: the fields that the operator reads."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, TypedDict, Unpack

import msgspec

from podrelay.api import names
from podrelay.operator.objects.metadata import Condition, Metadata, Projection
from podrelay.operator.objects.overrides import Overrides
from podrelay.operator.objects.runs import KEPT_INPUT_BYTES


class Times(Projection, frozen=True):
    """A rule for times."""

    cron: str | None = None
    every: str | None = None
    offset: str | None = None


class Exclusion(Projection, frozen=True):
    """Times at which no run starts."""

    cron: str | None = None
    date: str | None = None
    from_: str | None = msgspec.field(default=None, name="from")
    until: str | None = None


class Missed(Projection, frozen=True):
    """What happens to times that passed while there was no operator."""

    policy: str = "Latest"
    window_seconds: int = 86_400


class ScheduledRun(Projection, frozen=True):
    """The runs to start.

    Attributes:
        input: the input as JSON, `null` without one; empty if it is not kept and has to be read again.
    """

    definition: str
    input: msgspec.Raw = msgspec.Raw(b"null")
    display_name: str | None = None
    ttl_seconds_after_finished: int | None = None
    secret: str | None = None
    overrides: Overrides | None = None


class Backfill(Projection, frozen=True):
    """Runs to start for times in the past."""

    name: str
    from_: datetime = msgspec.field(name="from")
    until: datetime
    overlap: str = "OneByOne"
    starts_per_minute: int = 60


class TaskScheduleSpec(Projection, frozen=True):
    """When runs start, and which."""

    schedules: tuple[Times, ...]
    run: ScheduledRun
    exclude: tuple[Exclusion, ...] = ()
    time_zone: str = "UTC"
    daylight_saving: str = "Once"
    start_at: str | None = None
    end_at: str | None = None
    jitter_seconds: int = 0
    overlap: str = "Skip"
    max_buffered: int = 100
    missed: Missed = Missed()
    suspend: bool = False
    suspend_note: str | None = None
    suspended_by: str | None = None
    pause_on_failures: int | None = None
    backfills: tuple[Backfill, ...] = ()

    def rules(self) -> Mapping[str, Any]:
        """Return the fields about times, as in JSON, for `Timetable`."""
        return {
            "schedules": [msgspec.to_builtins(item) for item in self.schedules],
            "exclude": [msgspec.to_builtins(item) for item in self.exclude],
            "timeZone": self.time_zone,
            "daylightSaving": self.daylight_saving,
            "startAt": self.start_at,
            "endAt": self.end_at,
        }


class ActiveRun(Projection, frozen=True):
    """An unfinished run."""

    name: str
    scheduled_for: datetime
    backfill: str | None = None


class LastRun(Projection, frozen=True):
    """The run that was started last."""

    name: str
    scheduled_for: datetime
    started_at: datetime | None = None
    phase: str | None = None
    finished_at: datetime | None = None


class Skipped(Projection, frozen=True):
    """How many times were skipped, by reason."""

    overlap: int = 0
    buffer_full: int = 0
    replaced: int = 0
    suspended: int = 0
    name_taken: int = 0


class BackfillStatus(Projection, frozen=True):
    """Progress of a backfill."""

    name: str
    processed_until: datetime | None = None
    started: int = 0
    existing: int = 0
    last_started_at: datetime | None = None
    finished_at: datetime | None = None


class ScheduleChanges(TypedDict, total=False):
    """Fields of a status that the planner changes."""

    observed_generation: int | None
    conditions: tuple[Condition, ...]
    processed_until: datetime | None
    timetable: str | None
    next_times: tuple[datetime, ...]
    last_run: LastRun | None
    active_runs: int | None
    active: tuple[ActiveRun, ...]
    buffered: tuple[datetime, ...]
    started: int
    missed: int
    skipped: Skipped
    succeeded: int
    failed: int
    aborted: int
    consecutive_failures: int
    backfills: tuple[BackfillStatus, ...]


class TaskScheduleStatus(Projection, frozen=True):
    """Progress of a schedule."""

    observed_generation: int | None = None
    conditions: tuple[Condition, ...] = ()
    processed_until: datetime | None = None
    timetable: str | None = None
    next_times: tuple[datetime, ...] = ()
    last_run: LastRun | None = None
    active_runs: int | None = None
    active: tuple[ActiveRun, ...] = ()
    buffered: tuple[datetime, ...] = ()
    started: int = 0
    missed: int = 0
    skipped: Skipped = Skipped()
    succeeded: int = 0
    failed: int = 0
    aborted: int = 0
    consecutive_failures: int = 0
    backfills: tuple[BackfillStatus, ...] = ()

    def changed(self, **changes: Unpack[ScheduleChanges]) -> "TaskScheduleStatus":
        """Return a copy with some fields changed."""
        return msgspec.structs.replace(self, **changes)

    def condition(self, kind: str) -> Condition | None:
        """Return the condition of this type, if there is one."""
        return next((condition for condition in self.conditions if condition.type == kind), None)


class ScheduleAnnotations(msgspec.Struct, frozen=True):
    """The users who wrote a schedule, and whether it was restored."""

    created_by: str | None = msgspec.field(default=None, name=names.ANNOTATION_CREATED_BY)
    changed_by: str | None = msgspec.field(default=None, name=names.ANNOTATION_CHANGED_BY)
    imported: str | None = msgspec.field(default=None, name=names.ANNOTATION_IMPORTED)


class ScheduleMetadata(Metadata, frozen=True):
    """Identity of a schedule."""

    annotations: ScheduleAnnotations = ScheduleAnnotations()


_NOT_KEPT: Final = msgspec.Raw()


class TaskSchedule(Projection, frozen=True):
    """When runs of a definition start."""

    metadata: ScheduleMetadata
    spec: TaskScheduleSpec
    status: TaskScheduleStatus = TaskScheduleStatus()

    def __post_init__(self) -> None:
        """Keep the input of the runs only if it is small."""
        given = self.spec.run.input
        kept = given.copy() if len(given) <= KEPT_INPUT_BYTES else _NOT_KEPT
        run = msgspec.structs.replace(self.spec.run, input=kept)
        msgspec.structs.force_setattr(self, "spec", msgspec.structs.replace(self.spec, run=run))
