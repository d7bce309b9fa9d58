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
from podrelay.gateway.payloads import Object, Payloads
from podrelay.gateway.query import following, following_schedules
from podrelay.gateway.schema.describing import subscription
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


@strawberry.type(name="BackgroundTaskBackfill", description="Runs for times in the past.")
class Backfill:
    """A backfill, with its progress."""

    name: str
    begin: DateTime = strawberry.field(name="from")
    until: DateTime
    started: int
    existing: int = strawberry.field(description="Times that had a run already.")
    finished_on: DateTime | None


@strawberry.type(name="BackgroundTaskSchedule", description="A TaskSchedule: when runs of a definition start.")
class Schedule:
    """A schedule."""

    id: str
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
    next_times: list[DateTime]
    last_run: LastRun | None
    active_runs: list[str] = strawberry.field(description="Ids of the unfinished tasks.")
    buffered: list[DateTime] = strawberry.field(description="Times whose task starts when others have finished.")
    started: int
    missed: int
    skipped: Json = strawberry.field(description="Number of skipped times by reason.")
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

        return cls(
            id=ident(about["name"]),
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
            next_times=[_time(time) for time in status.get("nextTimes") or ()],
            last_run=LastRun(id=ident(last["name"]), scheduled_for=_time(last["scheduledFor"]), phase=last.get("phase"))
            if last
            else None,
            active_runs=[ident(run["name"]) for run in status.get("active") or ()],
            buffered=[_time(time) for time in status.get("buffered") or ()],
            started=status.get("started", 0),
            missed=status.get("missed", 0),
            skipped=Json(status.get("skipped") or {}),
            backfills=_backfills(spec, status),
            spec=Json(spec),
            created_on=_time(about["creationTimestamp"]),
            created_by=(about.get("annotations") or {}).get(names.ANNOTATION_CREATED_BY),
        )


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

    id: str
    deleted: bool
    schedule: Schedule | None


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
    async def schedule_updated(self, info: Info, id_: AnyIdent = None) -> AsyncIterator[ScheduleUpdate]:
        """Changes of one schedule, with its current state first, or of all schedules of the namespace."""
        with subscribed("scheduleUpdated"):
            call = info.context
            async with following.counted(call), aclosing(following_schedules.updates(call, id_)) as updates:
                async for key, stored in updates:
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


def _backfills(spec: Object, status: Object) -> list[Backfill]:
    progress = {item["name"]: item for item in status.get("backfills") or ()}
    return [
        Backfill(
            name=item["name"],
            begin=_time(item["from"]),
            until=_time(item["until"]),
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
