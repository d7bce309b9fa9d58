"""The schedules of a namespace: `TaskService.schedules`, and its asynchronous form."""

import builtins
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

from podrelay.api import limits, names, schedule_requests
from podrelay.api.schedule_requests import InvalidScheduleRequestError
from podrelay.client.errors import (
    ConflictError,
    InvalidInputError,
    NotFoundError,
    ScheduleNotFoundError,
    TaskNotFoundError,
    invalid_field,
)
from podrelay.client.resources import Query, Resource, Resources
from podrelay.client.results import Run, run_of
from podrelay.schedules.timetable import Timetable, TimetableError

T = TypeVar("T")
_ATTEMPTS: Final = 5
"""How often a change is made again because the schedule has changed meanwhile."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """A TaskSchedule as of the time when it was read.

    Attributes:
        name: its name.
        namespace: its namespace.
        uid: distinguishes it from a later schedule of the same name.
        definition: name of the TaskDefinition whose runs it starts.
        rules: its rules for times: cron expressions, or intervals such as `every 15m`.
        time_zone: time zone of the cron expressions.
        overlap: what happens when a time comes while a run is unfinished.
        is_ready: whether runs start as described; None: no operator has seen it yet.
        reason: why it is ready or not, in one CamelCase word.
        message: the same in plain text.
        is_suspended: no run starts.
        suspend_note: why it is suspended.
        suspended_by: the user who suspended it.
        next_times: the next times, at most five.
        last_time: the time of the run that was started last.
        last_run: the id of that run.
        active_runs: ids of the unfinished runs.
        buffered: times whose runs start when the runs before them have finished.
        started: number of runs that were started, without backfills.
        missed: number of times that passed while there was no operator.
        skipped: number of skipped times by reason.
        resource: the whole TaskSchedule, as the API server sent it.
    """

    name: str
    namespace: str
    uid: str
    definition: str
    rules: tuple[str, ...]
    time_zone: str
    overlap: str
    is_ready: bool | None
    reason: str
    message: str
    is_suspended: bool
    suspend_note: str
    suspended_by: str
    next_times: tuple[datetime, ...]
    last_time: datetime | None
    last_run: str | None
    active_runs: tuple[str, ...]
    buffered: tuple[datetime, ...]
    started: int
    missed: int
    skipped: Mapping[str, int] = field(hash=False)
    resource: Mapping[str, Any] = field(repr=False, compare=False)


def schedule_of(resource: Resource) -> Schedule:
    """Return the schedule of a TaskSchedule resource."""
    spec, status, about = resource["spec"], resource.get("status") or {}, resource["metadata"]
    conditions = {condition["type"]: condition for condition in status.get("conditions") or ()}
    ready, last = conditions.get("Ready"), status.get("lastRun") or {}
    return Schedule(
        name=about["name"],
        namespace=about["namespace"],
        uid=about["uid"],
        definition=spec["run"]["definition"],
        rules=tuple(_rule(item) for item in spec["schedules"]),
        time_zone=spec.get("timeZone", "UTC"),
        overlap=spec.get("overlap", "Skip"),
        is_ready=None if ready is None else ready["status"] == "True",
        reason="" if ready is None else ready["reason"],
        message="" if ready is None else ready.get("message", ""),
        is_suspended=bool(spec.get("suspend")),
        suspend_note=spec.get("suspendNote") or "",
        suspended_by=spec.get("suspendedBy") or "",
        next_times=tuple(map(datetime.fromisoformat, status.get("nextTimes") or ())),
        last_time=datetime.fromisoformat(last["scheduledFor"]) if last else None,
        last_run=last.get("name"),
        active_runs=tuple(run["name"] for run in status.get("active") or ()),
        buffered=tuple(map(datetime.fromisoformat, status.get("buffered") or ())),
        started=status.get("started", 0),
        missed=status.get("missed", 0),
        skipped={reason: number for reason, number in (status.get("skipped") or {}).items() if number},
        resource=resource,
    )


def _rule(item: Mapping[str, str]) -> str:
    if "cron" in item:
        return item["cron"]
    return f"every {item['every']}" + (f" + {item['offset']}" if "offset" in item else "")


def next_times(spec: Mapping[str, Any], count: int, start: datetime | None = None) -> list[datetime]:
    """Return the next times of a schedule, in UTC.

    Args:
        spec: the spec of a TaskSchedule, as in JSON; only the fields about times are read.
        count: how many.
        start: the earliest time, aware; None: now.

    Raises:
        InvalidInputError: the rules are invalid.
    """
    start = start or datetime.now(UTC)
    try:
        timetable = Timetable(spec)
    except TimetableError as error:
        field = invalid_field("schedules", str(error), "invalid")
        raise InvalidInputError(str(error), {"invalidFields": {"schedules": field}}) from error
    # A time at `start` itself counts as well.
    before = datetime.fromtimestamp(start.timestamp() // 1 - (start.microsecond == 0), UTC)
    return timetable.next(before, max(0, count))


class Schedules:
    """Reads and changes the schedules of a namespace. Thread-safe.

    Args:
        resources: the API server.
        namespace: the namespace.
    """

    def __init__(self, resources: Resources, namespace: str) -> None:
        self._resources = resources
        self._namespace = namespace

    def list(self, *, all_namespaces: bool = False) -> builtins.list[Schedule]:
        """Return the schedules, ordered by name.

        Args:
            all_namespaces: those of the whole cluster.
        """
        query = Query(names.TASK_SCHEDULES, None if all_namespaces else self._namespace)
        return [schedule_of(item) for item in self._resources.items(query)]

    def get(self, name: str) -> Schedule:
        """Return a schedule.

        Args:
            name: name of the schedule.

        Raises:
            ScheduleNotFoundError: there is none of this name.
        """
        return schedule_of(self._get(name))

    def preview(self, name: str, count: int = 5, start: datetime | None = None) -> builtins.list[datetime]:
        """Return the next times of a schedule, in UTC.

        Args:
            name: name of the schedule.
            count: how many.
            start: the earliest time, aware; None: now.

        Raises:
            ScheduleNotFoundError: there is none of this name.
            InvalidInputError: its rules are invalid.
        """
        return next_times(self._get(name)["spec"], count, start)

    def create(self, name: str, spec: Mapping[str, Any]) -> Schedule:
        """Create a schedule.

        Args:
            name: its name, at most 33 characters.
            spec: its spec, as in YAML: `{"schedules": [{"cron": "@daily"}], "run": {"definition": "nightly-totals"}}`.

        Raises:
            ConflictError: there is a schedule of this name.
            InvalidInputError: the spec is not valid.
        """
        manifest = schedule_requests.new_schedule(
            name, _checked(spec), namespace=self._namespace, created_by=self._resources.user()
        )
        return schedule_of(self._resources.create(names.TASK_SCHEDULES, self._namespace, manifest, strict=True))

    def update(self, name: str, spec: Mapping[str, Any]) -> Schedule:
        """Change fields of the spec of a schedule, as a JSON merge patch: lists are replaced, None removes a field.

        Args:
            name: its name.
            spec: the fields to change, as in YAML: `{"timeZone": "Europe/Vienna"}`.

        Raises:
            ScheduleNotFoundError: there is none of this name.
            InvalidInputError: the new spec is not valid.
        """
        patch = schedule_requests.changed_schedule(_checked(spec), self._resources.user())
        try:
            return schedule_of(self._resources.patch(names.TASK_SCHEDULES, self._namespace, name, patch, strict=True))
        except NotFoundError as missing:
            raise ScheduleNotFoundError.of(name) from missing

    def trigger(self, name: str, *, input: Any = None, idempotency_key: str | None = None) -> Run:
        """Start a run of a schedule now. It counts as unfinished for the overlap of later times.

        Args:
            name: name of the schedule.
            input: replaces the input of the schedule; None: the same input.
            idempotency_key: every call with the same key returns the same run.

        Raises:
            ScheduleNotFoundError: there is none of this name.
            InvalidInputError: the input is not valid.
        """
        schedule, user = self._get(name), self._resources.user()
        try:
            manifest = schedule_requests.triggered_run(
                schedule, datetime.now(UTC), input=input, created_by=user, key=idempotency_key
            )
        except limits.PayloadError as error:
            raise InvalidInputError.of_field("input", str(error)) from error
        with contextlib.suppress(ConflictError):
            return run_of(self._resources.create(names.TASK_RUNS, self._namespace, manifest))
        try:
            return run_of(self._resources.get(names.TASK_RUNS, self._namespace, manifest["metadata"]["name"]))
        except NotFoundError as gone:
            raise TaskNotFoundError(f"TaskRun {manifest['metadata']['name']} was just deleted; try again") from gone

    def backfill(
        self,
        name: str,
        start: datetime,
        end: datetime,
        *,
        overlap: str = "OneByOne",
        starts_per_minute: int = 60,
        backfill_name: str | None = None,
    ) -> Schedule:
        """Start the runs of past times; the operator does so at the given rate. A time that has a run is skipped.

        Args:
            name: name of the schedule.
            start: the first time, inclusive, aware.
            end: the end of the range, exclusive, aware.
            overlap: OneByOne: each run starts when the one before it has finished; Allow: they do not wait.
            starts_per_minute: maximum number of runs that are started in a minute, at most 600.
            backfill_name: its name; by default made from the range, so that the same range is not done twice.

        Raises:
            ScheduleNotFoundError: there is none of this name.
            InvalidInputError: an argument is not valid.
        """

        def spec(schedule: Resource) -> Resource:
            backfills = schedule_requests.with_backfill(
                schedule, start, end, overlap=overlap, starts_per_minute=starts_per_minute, name=backfill_name
            )
            return {"backfills": backfills}

        return self._change(name, spec)

    def stop_backfill(self, name: str, backfill_name: str) -> Schedule:
        """Stop a backfill; runs that it has started continue.

        Args:
            name: name of the schedule.
            backfill_name: name of the backfill.

        Raises:
            ScheduleNotFoundError: there is no such schedule.
        """

        def spec(schedule: Resource) -> Resource:
            known = schedule["spec"].get("backfills") or ()
            return {"backfills": [backfill for backfill in known if backfill["name"] != backfill_name]}

        return self._change(name, spec)

    def pause(self, name: str, note: str | None = None) -> Schedule:
        """Suspend a schedule: no run starts, and times that come are skipped.

        Args:
            name: name of the schedule.
            note: why, in plain text.

        Raises:
            ScheduleNotFoundError: there is no such schedule.
        """
        return self._change(name, lambda _schedule: schedule_requests.suspension(note, self._resources.user()))

    def resume(self, name: str) -> Schedule:
        """Continue a suspended schedule, from the next time on.

        Args:
            name: name of the schedule.

        Raises:
            ScheduleNotFoundError: there is no such schedule.
        """
        return self._change(name, lambda _schedule: schedule_requests.resumption())

    def delete(self, name: str) -> None:
        """Delete a schedule. Its runs stay.

        Args:
            name: name of the schedule.

        Raises:
            ScheduleNotFoundError: there is no such schedule.
        """
        try:
            self._resources.delete(names.TASK_SCHEDULES, self._namespace, name)
        except NotFoundError as missing:
            raise ScheduleNotFoundError.of(name) from missing

    def _get(self, name: str) -> Resource:
        try:
            return self._resources.get(names.TASK_SCHEDULES, self._namespace, name)
        except NotFoundError as missing:
            raise ScheduleNotFoundError.of(name) from missing

    def _change(self, name: str, change: Callable[[Resource], Resource]) -> Schedule:
        """Patch the spec, on condition that the schedule has not changed since it was read."""
        for attempt in range(_ATTEMPTS):
            schedule = self._get(name)
            try:
                spec = change(schedule)
            except InvalidScheduleRequestError as error:
                raise InvalidInputError.of_field(error.argument, error.problem) from error
            patch = {"metadata": {"resourceVersion": schedule["metadata"]["resourceVersion"]}, "spec": spec}
            try:
                return schedule_of(self._resources.patch(names.TASK_SCHEDULES, self._namespace, name, patch))
            except NotFoundError as missing:
                raise ScheduleNotFoundError.of(name) from missing
            except ConflictError:
                if attempt == _ATTEMPTS - 1:
                    raise
        raise AssertionError


def _checked(spec: Any) -> dict[str, Any]:
    try:
        return schedule_requests.checked_spec(spec)
    except InvalidScheduleRequestError as error:
        raise InvalidInputError.of_field(error.argument, error.problem) from error


class AsyncSchedules:
    """Like Schedules, but its methods are coroutines.

    Args:
        schedules: does the work, in threads.
        run: runs a function in a thread.
    """

    def __init__(self, schedules: Schedules, run: Callable[[Callable[[], Any]], Awaitable[Any]]) -> None:
        self._schedules = schedules
        self._run = run

    async def list(self, *, all_namespaces: bool = False) -> builtins.list[Schedule]:
        """Return the schedules, as `Schedules.list`."""
        return await self._call(lambda: self._schedules.list(all_namespaces=all_namespaces))

    async def get(self, name: str) -> Schedule:
        """Return a schedule, as `Schedules.get`."""
        return await self._call(lambda: self._schedules.get(name))

    async def preview(self, name: str, count: int = 5, start: datetime | None = None) -> builtins.list[datetime]:
        """Return the next times of a schedule, as `Schedules.preview`."""
        return await self._call(lambda: self._schedules.preview(name, count, start))

    async def create(self, name: str, spec: Mapping[str, Any]) -> Schedule:
        """Create a schedule, as `Schedules.create`."""
        return await self._call(lambda: self._schedules.create(name, spec))

    async def update(self, name: str, spec: Mapping[str, Any]) -> Schedule:
        """Change a schedule, as `Schedules.update`."""
        return await self._call(lambda: self._schedules.update(name, spec))

    async def trigger(self, name: str, *, input: Any = None, idempotency_key: str | None = None) -> Run:
        """Start a run of a schedule now, as `Schedules.trigger`."""
        return await self._call(lambda: self._schedules.trigger(name, input=input, idempotency_key=idempotency_key))

    async def backfill(self, name: str, start: datetime, end: datetime, **options: Any) -> Schedule:
        """Start the runs of past times, as `Schedules.backfill`."""
        return await self._call(lambda: self._schedules.backfill(name, start, end, **options))

    async def stop_backfill(self, name: str, backfill_name: str) -> Schedule:
        """Stop a backfill, as `Schedules.stop_backfill`."""
        return await self._call(lambda: self._schedules.stop_backfill(name, backfill_name))

    async def pause(self, name: str, note: str | None = None) -> Schedule:
        """Suspend a schedule, as `Schedules.pause`."""
        return await self._call(lambda: self._schedules.pause(name, note))

    async def resume(self, name: str) -> Schedule:
        """Continue a suspended schedule, as `Schedules.resume`."""
        return await self._call(lambda: self._schedules.resume(name))

    async def delete(self, name: str) -> None:
        """Delete a schedule, as `Schedules.delete`."""
        await self._call(lambda: self._schedules.delete(name))

    async def _call(self, call: Callable[[], T]) -> T:
        result: T = await self._run(call)
        return result
