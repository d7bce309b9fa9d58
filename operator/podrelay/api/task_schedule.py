"""TaskSchedule: when runs of a definition start by themselves. Users write its spec, the operator writes its status."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from podrelay.api import limits
from podrelay.api.common import (
    Conditions,
    Count,
    Model,
    ObjectName,
    OwnTimestamp,
    Payload,
    Timestamp,
    cel,
    extension,
)
from podrelay.api.overrides import Overrides
from podrelay.api.task_run import DefinitionName, SecretName

_UNIT = r"(\*|[0-9]{1,2}(-[0-9]{1,2})?)(/[0-9]{1,4})?"
_DAY = r"(\*|LW?|[0-9]{1,2}(-[0-9]{1,2})?)(/[0-9]{1,4})?"
_MONTH = r"(\*|([0-9]{1,2}|[A-Za-z]{3})(-([0-9]{1,2}|[A-Za-z]{3}))?)(/[0-9]{1,4})?"
_WEEKDAY = r"(\*|([0-7]|[A-Za-z]{3})(-([0-7]|[A-Za-z]{3}))?)(/[0-9]{1,4}|L|l|#[1-5])?"


def _list_of(item: str) -> str:
    return f"{item}(,{item})*"


_FIELDS = " +".join(map(_list_of, (_UNIT, _UNIT, _DAY.replace("LW?", "[Ll][Ww]?"), _MONTH, _WEEKDAY)))
CRON_PATTERN = f"^(@(yearly|annually|monthly|weekly|daily|midnight|hourly)|{_FIELDS})$"
"""Accepts every valid expression, and refuses most invalid ones; the operator's parser refuses the others."""
_DURATION = r"^([0-9]{1,5}h)?([0-9]{1,6}m)?([0-9]{1,8}s)?$"

CronExpression = Annotated[str, Field(min_length=1, max_length=200, pattern=CRON_PATTERN)]
Duration = Annotated[str, Field(min_length=2, max_length=24, pattern=_DURATION)]
Day = Annotated[str, Field(min_length=10, max_length=10, pattern=r"^[12]\d{3}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])$")]
TimeZone = Annotated[
    str,
    Field(
        min_length=1,
        max_length=64,
        pattern=r"^[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+)*$",
    ),
]
"""No rule asks whether a time zone exists: many API servers have no time zone database, and would refuse all but UTC.
The operator says it in the condition Ready."""
UserName = Annotated[str, Field(min_length=1, max_length=1024)]
Overlap = Literal["Skip", "BufferOne", "BufferAll", "AbortOther", "Allow"]
SkipReason = Literal["overlap", "bufferFull", "replaced", "suspended", "nameTaken"]


class Times(Model):
    """A rule for times: either cron, or every."""

    model_config = ConfigDict(
        json_schema_extra=cel(
            ("has(self.cron) != has(self.every)", "set either cron or every"),
            ("!has(self.offset) || has(self.every)", "offset belongs to every"),
            (
                f"!has(self.every) || duration(self.every) >= duration('{limits.SHORTEST_EVERY_SECONDS}s')",
                f"every must be at least {limits.SHORTEST_EVERY_SECONDS}s",
            ),
            (
                "!has(self.every) || !has(self.offset) || duration(self.offset) < duration(self.every)",
                "offset must be shorter than every",
            ),
        )
    )

    cron: CronExpression | None = None
    """A cron expression with five fields: minute, hour, day of the month, month, day of the week, in the time zone of
    the schedule. Also L (last day), LW (last weekday), FRI#2, FRIL, and the names @hourly, @daily, @weekly,
    @monthly, @yearly."""
    every: Duration | None = None
    """An interval, for example 15m, 1h30m or 24h, at least 10s. Counted from 1970-01-01T00:00:00Z, so it does not
    depend on the time zone, nor on when the schedule was created."""
    offset: Duration | None = None
    """Moves the times of every: with every 1h and offset 5m, five minutes after each full hour in UTC."""


class Exclusion(Model):
    """Times at which no run starts: set one of cron, date, or from and until."""

    model_config = ConfigDict(
        json_schema_extra=cel(
            (
                "(has(self.cron) ? 1 : 0) + (has(self.date) ? 1 : 0) + "
                "(has(self.from) || has(self.until) ? 1 : 0) == 1",
                "set one of cron, date, or from and until",
            ),
        )
    )

    cron: CronExpression | None = None
    """Every minute that matches this expression, in the time zone of the schedule: * * 24-26 12 * is Christmas."""
    date: Day | None = None
    """A day in the time zone of the schedule, such as 2026-12-24."""
    from_: Annotated[Timestamp | None, Field(alias="from")] = None
    """Beginning of a range of times, inclusive; without until, it has no end."""
    until: Timestamp | None = None
    """End of a range of times, exclusive; without from, it has no beginning."""


class Missed(Model):
    """What happens to times that passed more than a minute ago before the operator could start their runs."""

    policy: Literal["Skip", "Latest", "All"] = "Latest"
    """Skip: their runs are not started. Latest: only the run of the latest one is started. All: all their runs are
    started, oldest first, as overlap allows."""
    window_seconds: Annotated[int, Field(ge=0, le=315_360_000)] = 86_400
    """With Latest and All: runs are only started for times that are at most this old."""


class ScheduledRun(Model):
    """The runs to start."""

    definition: DefinitionName
    """Name of the TaskDefinition in the same namespace, in kebab-case: import-products."""
    input: Payload | None = None
    """Input of each run: a JSON object of at most 256 KiB."""
    display_name: Annotated[str, Field(min_length=1, max_length=256)] | None = None
    """Human-readable name of each run. If absent, the title of the definition is shown."""
    secret: SecretName | None = None
    """Name of a Secret in the same namespace that the pods of each run get. The user who writes the schedule needs
    permission to get the Secret."""
    overrides: Overrides | None = None
    """Settings of the definition that are different for these runs. Each must be allowed by spec.allowOverrides of the
    definition."""
    ttl_seconds_after_finished: Annotated[int, Field(ge=0, le=315_360_000)] | None = None
    """Time after which a finished run is deleted. If absent, the setting of its definition applies."""


class Backfill(Model):
    """Starts the runs of times in the past. A time whose run exists already is skipped."""

    name: Annotated[str, Field(min_length=1, max_length=63, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")]
    """Name of the backfill, unique in the schedule. A finished backfill is not repeated."""
    from_: Annotated[Timestamp, Field(alias="from")]
    """The first time, inclusive."""
    until: Timestamp
    """The end of the range, exclusive. Times that have not come yet are left to the schedule."""
    overlap: Literal["OneByOne", "Allow"] = "OneByOne"
    """OneByOne: each run starts when the one before it has finished. Allow: they do not wait for each other. In both
    cases, runs of the schedule itself do not matter."""
    starts_per_minute: Annotated[int, Field(ge=1, le=600)] = 60
    """Maximum number of runs that the backfill starts in a minute."""


class TaskScheduleSpec(Model):
    """When runs start, and which."""

    schedules: Annotated[list[Times], Field(min_length=1, max_length=20), extension(list_type="atomic")]
    """The times at which runs start. A time that several of them name counts once."""
    exclude: Annotated[list[Exclusion], Field(max_length=100), extension(list_type="atomic")] | None = None
    """Times at which no run starts."""
    time_zone: TimeZone = "UTC"
    """Time zone of the cron expressions, from the IANA database, for example Europe/Vienna."""
    daylight_saving: Literal["Once", "Literal"] = "Once"
    """What happens when clocks change. Once, as in Debian's cron: an expression with fixed hours and minutes runs once
    a day also then; a time that is left out runs right after the change, and a time that comes twice runs the first
    time. Expressions whose minute or hour begins with * follow the clock. Literal: all expressions follow the
    clock, so a time that is left out does not run, and a time that comes twice runs twice."""
    start_at: Timestamp | None = None
    """No run starts for times before this one."""
    end_at: Timestamp | None = None
    """No run starts for this time or later ones."""
    jitter_seconds: Annotated[int, Field(ge=0, le=86_400)] = 0
    """Runs start later by up to this time, to spread the load. The delay is always the same for a schedule."""
    overlap: Overlap = "Skip"
    """What happens when a time comes while a run of the schedule is unfinished. Skip: no run. BufferOne: the run
    starts when the other one has finished; at most one waits. BufferAll: the same, for at most maxBuffered.
    AbortOther: the other run is aborted, and the new one starts when it has ended. Allow: both run."""
    max_buffered: Annotated[int, Field(ge=1, le=limits.SCHEDULE_BUFFER)] = 100
    """With overlap BufferAll: how many times may wait; later ones are skipped."""
    missed: Missed = Missed()
    """What happens to times that passed while there was no operator."""
    suspend: bool = False
    """While this is true, no run starts, and the times are skipped. Runs that have started continue."""
    suspend_note: Annotated[str, Field(max_length=1024)] | None = None
    """Why the schedule is suspended, in plain text."""
    suspended_by: UserName | None = None
    """Name of the user who suspended the schedule. It must be your own user name, or absent; commands, task service
    and gateway set it."""
    pause_on_failures: Annotated[int, Field(ge=1, le=1000)] | None = None
    """Suspend the schedule when so many of its runs have failed in a row. If absent, it is never suspended for that."""
    run: ScheduledRun
    """The runs to start."""
    backfills: (
        Annotated[list[Backfill], Field(max_length=10), extension(list_type="map", list_map_keys=["name"])] | None
    ) = None
    """Runs to start for times in the past. Remove a backfill to stop it."""


class ActiveRun(Model):
    """An unfinished run of the schedule."""

    name: ObjectName
    """Name of the TaskRun."""
    scheduled_for: OwnTimestamp
    """The time that it is for."""
    backfill: Annotated[str, Field(max_length=63)] | None = None
    """Name of the backfill that started it."""


class LastRun(Model):
    """The run that was started last."""

    name: ObjectName
    """Name of the TaskRun."""
    scheduled_for: OwnTimestamp
    """The time that it is for."""
    started_at: OwnTimestamp | None = None
    """When it was created."""
    phase: Annotated[str, Field(max_length=32)] | None = None
    """Its final phase, once it has finished."""
    finished_at: OwnTimestamp | None = None
    """When it finished."""


class Skipped(Model):
    """How many times were skipped, by reason."""

    overlap: Count = 0
    """Another run of the schedule was unfinished."""
    buffer_full: Count = 0
    """As many times as allowed were waiting already."""
    replaced: Count = 0
    """A later time came while it was waiting, with overlap AbortOther."""
    suspended: Count = 0
    """The schedule was suspended."""
    name_taken: Count = 0
    """Another TaskRun has the name that its run would have had."""


class BackfillStatus(Model):
    """Progress of a backfill."""

    name: Annotated[str, Field(max_length=63)]
    """Name of the backfill."""
    processed_until: OwnTimestamp | None = None
    """The last time that it has processed."""
    started: Count = 0
    """How many runs it has started."""
    existing: Count = 0
    """How many times had a run already."""
    last_started_at: OwnTimestamp | None = None
    """When it started a run last."""
    finished_at: OwnTimestamp | None = None
    """When it had processed its whole range."""


class TaskScheduleStatus(Model):
    """Observed state of the schedule. Written by the operator only."""

    observed_generation: Annotated[int, Field(ge=-1)] | None = None
    """The metadata.generation that was last reconciled; -1 until the operator has seen the schedule."""
    conditions: Conditions | None = None
    """Ready: whether runs start as described. Stalled: whether the schedule must be corrected. Suspended: whether it
    is suspended, and who did that."""
    processed_until: OwnTimestamp | None = None
    """All times up to this one have been decided: their runs have been started, buffered, skipped or missed. So a run
    that was deleted afterwards is not started again."""
    timetable: Annotated[str, Field(max_length=64)] | None = None
    """Identifies the rules for the times. When they change, only times after the change count."""
    next_times: Annotated[list[OwnTimestamp], Field(max_length=5), extension(list_type="atomic")] | None = None
    """The next times, at most five."""
    last_run: LastRun | None = None
    """The run that was started last."""
    active_runs: Count | None = None
    """Number of unfinished runs."""
    active: (
        Annotated[list[ActiveRun], Field(max_length=2 * limits.SCHEDULE_ACTIVE_RUNS), extension(list_type="atomic")]
        | None
    ) = None
    """The unfinished runs."""
    buffered: (
        Annotated[list[OwnTimestamp], Field(max_length=limits.SCHEDULE_BUFFER), extension(list_type="atomic")] | None
    ) = None
    """Times whose run starts when the runs before it have finished."""
    started: Count | None = None
    """Number of runs that the schedule has started, without backfills."""
    missed: Count | None = None
    """Number of times that passed while there was no operator, and whose run was not started."""
    skipped: Skipped | None = None
    """Number of times that were skipped, by reason."""
    succeeded: Count | None = None
    """Number of its runs that have succeeded."""
    failed: Count | None = None
    """Number of its runs that have failed."""
    aborted: Count | None = None
    """Number of its runs that were aborted."""
    consecutive_failures: Count | None = None
    """Number of failed runs since the last one that succeeded."""
    backfills: (
        Annotated[list[BackfillStatus], Field(max_length=10), extension(list_type="map", list_map_keys=["name"])] | None
    ) = None
    """Progress of the backfills."""


class TaskSchedule(Model):
    """A TaskSchedule starts runs of a TaskDefinition at given times. The run for a time is named after the schedule
    and the time in UTC, so that there is one run at most.
    """

    model_config = ConfigDict(
        json_schema_extra=cel(
            (
                f"size(self.metadata.name) <= {limits.SCHEDULE_NAME_LENGTH} && !self.metadata.name.contains('.')",
                f"metadata.name must be a DNS label of at most {limits.SCHEDULE_NAME_LENGTH} characters, "
                "because the names of its runs begin with it",
            ),
        )
    )

    spec: TaskScheduleSpec
    """When runs start, and which."""
    status: TaskScheduleStatus | None = None
    """Observed state of the schedule. Written by the operator only."""
