"""Schedules in the schema: their types, queries, mutations and subscription."""

from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from datetime import datetime
from enum import Enum
from typing import Any

import strawberry

from podrelay.api import names, schedule_requests
from podrelay.gateway import schedules
from podrelay.gateway.call import Call
from podrelay.gateway.payloads import Object, Payloads, without_managed_fields
from podrelay.gateway.query import following, following_schedules
from podrelay.gateway.schema.describing import described, subscription
from podrelay.gateway.schema.envelope import Error, envelope
from podrelay.gateway.schema.in_turn import in_turn
from podrelay.gateway.schema.measuring import measured, subscribed
from podrelay.gateway.schema.scalars import DateTime, Json
from podrelay.gateway.schema.types import AnyIdent, Ident, Info, Task, TriggerResponse
from podrelay.kube.resources import Key


@strawberry.enum(name="BackgroundTaskBackfillOverlap")
class BackfillOverlap(Enum):
    """Whether the runs of a backfill wait for each other."""

    ONE_BY_ONE = "OneByOne"
    ALLOW = "Allow"


@strawberry.type(name="BackgroundTaskScheduleRun", description="The run that a schedule has started last.")
class LastRun:
    """The last run."""

    id: str
    scheduled_for: DateTime
    phase: str | None = strawberry.field(description="Its final phase, once it has finished.")
    started_on: DateTime | None = strawberry.field(description="When it was created.")
    finished_on: DateTime | None

    @classmethod
    def of(cls, stored: Object, ident: Callable[[str], str]) -> "LastRun":
        """Return the last run in the status of a schedule; `ident` returns the id of a run by its name."""
        return cls(
            id=ident(stored["name"]),
            scheduled_for=_time(stored["scheduledFor"]),
            phase=stored.get("phase"),
            started_on=_time_or_none(stored.get("startedAt")),
            finished_on=_time_or_none(stored.get("finishedAt")),
        )


@strawberry.type(name="BackgroundTaskScheduleActiveRun", description="An unfinished task of a schedule.")
class ActiveRun:
    """A run that counts for the overlap."""

    id: str
    scheduled_for: DateTime
    backfill: str | None = strawberry.field(description="Name of the backfill that started it.")


@strawberry.type(name="BackgroundTaskScheduleCondition", description="One aspect of the state of a schedule.")
class Condition:
    """A condition: Ready, Stalled or Suspended."""

    type: str
    status: str = strawberry.field(description="True, False or Unknown.")
    reason: str
    message: str
    changed_on: DateTime = strawberry.field(description="When `status` changed last.")

    @classmethod
    def of(cls, stored: Object) -> "Condition":
        """Return a condition."""
        return cls(
            type=stored["type"],
            status=stored["status"],
            reason=stored["reason"],
            message=stored.get("message") or "",
            changed_on=_time(stored["lastTransitionTime"]),
        )


@strawberry.type(name="BackgroundTaskScheduleOptions", description="The options of a schedule, with defaults.")
class Options:
    """The fields of the spec that no other field shows."""

    daylight_saving: str
    start_at: DateTime | None
    end_at: DateTime | None
    exclusions: list[str] = strawberry.field(description="Times at which no task starts, as text.")
    jitter_seconds: int
    max_buffered: int
    missed_policy: str = strawberry.field(description="Skip, Latest or All.")
    missed_window_seconds: int
    pause_on_failures: int | None

    @classmethod
    def of(cls, spec: Object) -> "Options":
        """Return the options in the spec of a schedule."""
        missed = spec.get("missed") or {}
        return cls(
            daylight_saving=spec.get("daylightSaving", "Once"),
            start_at=_time_or_none(spec.get("startAt")),
            end_at=_time_or_none(spec.get("endAt")),
            exclusions=[_exclusion(item) for item in spec.get("exclude") or ()],
            jitter_seconds=spec.get("jitterSeconds", 0),
            max_buffered=spec.get("maxBuffered", 100),
            missed_policy=missed.get("policy", "Latest"),
            missed_window_seconds=missed.get("windowSeconds", 86_400),
            pause_on_failures=spec.get("pauseOnFailures"),
        )


@strawberry.type(name="BackgroundTaskBackfill", description="Runs for times in the past.")
class Backfill:
    """A backfill, with its progress."""

    name: str
    begin: DateTime = strawberry.field(name="from")
    until: DateTime
    overlap: str = strawberry.field(description="OneByOne or Allow.")
    starts_per_minute: int
    processed_until: DateTime | None = strawberry.field(description="The last time that was processed.")
    started: int
    existing: int = strawberry.field(description="Times that had a run already.")
    finished_on: DateTime | None


@strawberry.type(name="BackgroundTaskSchedule", description="A TaskSchedule: when runs of a definition start.")
class Schedule:
    """A schedule."""

    stored: strawberry.Private[Object]
    id: str
    namespace: str
    version: str = strawberry.field(
        description="Grows with each change: of two states, that with the greater number is newer."
    )
    uid: str = strawberry.field(description="UID of the TaskSchedule; one that is created again has another one.")
    definition: str = strawberry.field(description="Id of the definition.")
    rules: list[str] = strawberry.field(description="Cron expressions, or intervals such as `every 15m`.")
    time_zone: str
    overlap: str
    suspended: bool
    suspend_note: str | None
    suspended_by: str | None
    ready: bool | None = strawberry.field(description="null: no operator has seen it yet.")
    reason: str | None
    message: str | None
    conditions: list[Condition]
    options: Options
    next_times: list[DateTime]
    last_run: LastRun | None
    active_runs: list[str] = strawberry.field(description="Ids of the unfinished tasks.")
    active: list[ActiveRun] = strawberry.field(description="The unfinished tasks.")
    buffered: list[DateTime] = strawberry.field(description="Times whose task starts when others have finished.")
    started: int
    missed: int
    skipped: Json = strawberry.field(description="Number of skipped times by reason.")
    succeeded: int
    failed: int
    aborted: int
    consecutive_failures: int = strawberry.field(description="Failed tasks since the last one that succeeded.")
    backfills: list[Backfill]
    spec: Json = strawberry.field(description="The spec of the TaskSchedule.")
    created_on: DateTime
    created_by: str | None

    @classmethod
    def of(cls, call: Call, stored: Object) -> "Schedule":
        """Return the schedule of a TaskSchedule resource."""
        about, spec, status = stored["metadata"], stored["spec"], stored.get("status") or {}
        ready = next((item for item in status.get("conditions") or () if item["type"] == "Ready"), None)
        last = status.get("lastRun")

        def ident(name: str) -> str:
            return call.scope.ident(Key(about["namespace"], name))

        active = status.get("active") or ()
        return cls(
            stored=stored,
            id=ident(about["name"]),
            namespace=about["namespace"],
            version=about["resourceVersion"],
            uid=about["uid"],
            definition=names.definition_id(spec["run"]["definition"]),
            rules=[_rule(item) for item in spec["schedules"]],
            time_zone=spec.get("timeZone", "UTC"),
            overlap=spec.get("overlap", "Skip"),
            suspended=bool(spec.get("suspend")),
            suspend_note=spec.get("suspendNote"),
            suspended_by=spec.get("suspendedBy"),
            ready=None if ready is None else ready["status"] == "True",
            reason=None if ready is None else ready["reason"],
            message=None if ready is None else ready.get("message"),
            conditions=[Condition.of(item) for item in status.get("conditions") or ()],
            options=Options.of(spec),
            next_times=[_time(time) for time in status.get("nextTimes") or ()],
            last_run=LastRun.of(last, ident) if last else None,
            active_runs=[ident(run["name"]) for run in active],
            active=[
                ActiveRun(id=ident(run["name"]), scheduled_for=_time(run["scheduledFor"]), backfill=run.get("backfill"))
                for run in active
            ],
            buffered=[_time(time) for time in status.get("buffered") or ()],
            started=status.get("started", 0),
            missed=status.get("missed", 0),
            skipped=Json(status.get("skipped") or {}),
            succeeded=status.get("succeeded", 0),
            failed=status.get("failed", 0),
            aborted=status.get("aborted", 0),
            consecutive_failures=status.get("consecutiveFailures", 0),
            backfills=_backfills(spec, status),
            spec=Json(spec),
            created_on=_time(about["creationTimestamp"]),
            created_by=(about.get("annotations") or {}).get(names.ANNOTATION_CREATED_BY),
        )

    @described
    def manifest(self) -> Json:
        """The TaskSchedule as kubectl shows it, without managedFields."""
        return Json(without_managed_fields(self.stored))


@strawberry.type(name="BackgroundTaskScheduleResponse")
class ScheduleResponse:
    """A schedule, or why there is none."""

    data: Schedule | None = None
    error: Error | None = None


@strawberry.type(name="BackgroundTaskScheduleListResponse")
class ScheduleListResponse:
    """Schedules, or why there are none."""

    data: list[Schedule] | None = None
    error: Error | None = None


@strawberry.type(name="BackgroundTaskScheduleTimesResponse")
class TimesResponse:
    """Times, or why there are none."""

    data: list[DateTime] | None = None
    error: Error | None = None


@strawberry.type(name="BackgroundTaskScheduleDeleteResponse")
class ScheduleDeleteResponse:
    """Whether a schedule was deleted."""

    data: bool | None = None
    error: Error | None = None


@strawberry.type(name="BackgroundTaskScheduleUpdate", description="A change of a schedule.")
class ScheduleUpdate:
    """The newest state wins: intermediate states may not be sent."""

    id: str = strawberry.field(description="Empty if `isReady` is true.")
    deleted: bool
    schedule: Schedule | None
    is_ready: bool = strawberry.field(
        default=False, description="Only with `announce`, first: from now on all changes are sent. Read the list now."
    )


@strawberry.type
class ScheduleQueries:
    """Queries about schedules."""

    payloads: strawberry.Private[Payloads]

    @measured("query")
    async def list_schedules(self, definition: str | None = None) -> ScheduleListResponse:
        """The schedules of the namespace, of all definitions or of one, ordered by name."""
        call = self.payloads.call
        found, error = await envelope(schedules.find(call))
        wanted = None if definition is None else names.definition_name(definition)
        data = [
            Schedule.of(call, stored) for stored in found or () if wanted in {None, stored["spec"]["run"]["definition"]}
        ]
        return ScheduleListResponse(data=None if found is None else data, error=error)

    @measured("query")
    async def get_schedule(self, id_: Ident) -> ScheduleResponse:
        """One schedule."""
        call = self.payloads.call
        found, error = await envelope(schedules.get(call, id_))
        return ScheduleResponse(data=None if found is None else Schedule.of(call, found[1]), error=error)

    @measured("query")
    async def preview_schedule(
        self,
        id_: AnyIdent = None,
        cron: list[str] | None = None,
        time_zone: str = "UTC",
        start: DateTime | None = None,
        count: int = 5,
    ) -> TimesResponse:
        """The next times of a schedule, or of cron expressions in a time zone, at most 1000."""
        data, error = await envelope(_preview(self.payloads.call, id_, cron, time_zone, start, count))
        return TimesResponse(data=None if data is None else [DateTime(time) for time in data], error=error)


@strawberry.type
class ScheduleMutations:
    """Mutations of schedules."""

    payloads: strawberry.Private[Payloads]

    @measured("mutation")
    async def create_schedule(self, id_: Ident, spec: Json) -> ScheduleResponse:
        """Create a schedule; `spec` is that of a TaskSchedule."""
        call = self.payloads.call
        stored, error = await in_turn(call, lambda: schedules.create(call, id_, spec))
        return ScheduleResponse(data=None if stored is None else Schedule.of(call, stored), error=error)

    @measured("mutation")
    async def update_schedule(self, id_: Ident, spec: Json) -> ScheduleResponse:
        """Change fields of the spec of a schedule, as a JSON merge patch: lists are replaced, null removes a field."""
        call = self.payloads.call
        stored, error = await in_turn(call, lambda: schedules.update(call, id_, spec))
        return ScheduleResponse(data=None if stored is None else Schedule.of(call, stored), error=error)

    @measured("mutation")
    async def trigger_schedule(
        self, id_: Ident, input: Json | None = None, idempotency_key: str | None = None
    ) -> TriggerResponse:
        """Start a task of a schedule now. Later times of the schedule count it as unfinished."""
        call = self.payloads.call
        run, error = await in_turn(call, lambda: schedules.trigger(call, id_, input, idempotency_key))
        return TriggerResponse(data=Task.of(run, self.payloads) if run else None, error=error)

    @measured("mutation")
    async def backfill_schedule(
        self,
        id_: Ident,
        start: DateTime,
        until: DateTime,
        overlap: BackfillOverlap = BackfillOverlap.ONE_BY_ONE,
        starts_per_minute: int = 60,
        name: str | None = None,
    ) -> ScheduleResponse:
        """Start the tasks of past times, from `start` until before `until`. A time that has a task is skipped."""

        def make(stored: Object) -> Object:
            backfills = schedule_requests.with_backfill(
                stored, start, until, overlap=overlap.value, starts_per_minute=starts_per_minute, name=name
            )
            return {"backfills": backfills}

        return await self._change_spec(id_, make)

    @measured("mutation")
    async def stop_backfill(self, id_: Ident, name: str) -> ScheduleResponse:
        """Stop a backfill. Tasks that it has started continue."""

        def make(stored: Object) -> Object:
            known = stored["spec"].get("backfills") or ()
            return {"backfills": [backfill for backfill in known if backfill["name"] != name]}

        return await self._change_spec(id_, make)

    @measured("mutation")
    async def suspend_schedule(self, id_: Ident, suspend: bool = True, note: str | None = None) -> ScheduleResponse:
        """Suspend a schedule, so that no task starts; `suspend: false` resumes it."""
        user = await self.payloads.call.services.access.user(self.payloads.call.caller)
        wanted = schedule_requests.suspension(note, user) if suspend else schedule_requests.resumption()
        return await self._change_spec(id_, lambda _stored: wanted)

    @measured("mutation")
    async def delete_schedule(self, id_: Ident) -> ScheduleDeleteResponse:
        """Delete a schedule. Its tasks stay."""
        call = self.payloads.call
        _, error = await in_turn(call, lambda: schedules.delete(call, id_))
        return ScheduleDeleteResponse(data=None if error else True, error=error)

    async def _change_spec(self, ident: str, make: Callable[[Object], Object]) -> ScheduleResponse:
        call = self.payloads.call
        stored, error = await in_turn(call, lambda: schedules.change(call, ident, make))
        return ScheduleResponse(data=None if stored is None else Schedule.of(call, stored), error=error)


@strawberry.type
class ScheduleSubscriptions:
    """Subscriptions to schedules."""

    @subscription
    async def schedule_updated(
        self, info: Info, id_: AnyIdent = None, announce: bool = False
    ) -> AsyncIterator[ScheduleUpdate]:
        """Changes of one schedule, with its current state first, or of all schedules of the namespace.

        With `announce`, the first event says that changes are sent from then on (`isReady`).
        """
        with subscribed("scheduleUpdated"):
            call = info.context
            changes = following_schedules.updates(call, id_, announce=announce)
            async with following.counted(call), aclosing(changes) as updates:
                async for key, stored in updates:
                    if key is None:
                        yield ScheduleUpdate(id="", deleted=False, schedule=None, is_ready=True)
                        continue
                    shown = None if stored is None else Schedule.of(call, stored)
                    yield ScheduleUpdate(id=call.scope.ident(key), deleted=stored is None, schedule=shown)


async def _preview(
    call: Call, ident: str | None, cron: list[str] | None, time_zone: str, start: datetime | None, count: int
) -> list[datetime]:
    spec: dict[str, Any] = {"schedules": [{"cron": text} for text in cron or ()], "timeZone": time_zone}
    if ident is not None:
        _, stored = await schedules.get(call, ident)
        spec = stored["spec"]
    user = await call.services.access.user(call.caller)
    # A rule that seldom matches takes a while to search.
    return await call.services.offloop.run(user, lambda: schedules.times(spec, count, start))


def _rule(item: Object) -> str:
    if "cron" in item:
        return str(item["cron"])
    return f"every {item['every']}" + (f" + {item['offset']}" if "offset" in item else "")


def _exclusion(item: Object) -> str:
    if "from" in item or "until" in item:
        return f"{item.get('from', '')} to {item.get('until', '')}"
    return str(item.get("cron") or item.get("date"))


def _backfills(spec: Object, status: Object) -> list[Backfill]:
    progress = {item["name"]: item for item in status.get("backfills") or ()}
    return [
        Backfill(
            name=item["name"],
            begin=_time(item["from"]),
            until=_time(item["until"]),
            overlap=item.get("overlap", "OneByOne"),
            starts_per_minute=item.get("startsPerMinute", 60),
            processed_until=_time_or_none(progress.get(item["name"], {}).get("processedUntil")),
            started=progress.get(item["name"], {}).get("started", 0),
            existing=progress.get(item["name"], {}).get("existing", 0),
            finished_on=_time_or_none(progress.get(item["name"], {}).get("finishedAt")),
        )
        for item in spec.get("backfills") or ()
    ]


def _time(text: str) -> DateTime:
    return DateTime(datetime.fromisoformat(text))


def _time_or_none(text: str | None) -> DateTime | None:
    return None if text is None else _time(text)
