"""The actions on TaskSchedules: create, confirm and abort runs, suspend a schedule, write its status."""

import contextlib
from collections.abc import Callable
from typing import Any, Final

import msgspec

from podrelay.api import limits, names
from podrelay.kube.api import Api
from podrelay.kube.errors import AlreadyExistsError, ApiError, ConflictError, InvalidError, NotFoundError
from podrelay.kube.resources import TASK_RUNS, TASK_SCHEDULES, Key
from podrelay.operator.cache.schedules import ScheduleCache
from podrelay.operator.cache.store import Store
from podrelay.operator.executor.pods import Lease
from podrelay.operator.objects.runs import TaskRun
from podrelay.operator.objects.schedules import TaskSchedule, TaskScheduleStatus
from podrelay.operator.rbac import Permission
from podrelay.operator.schedule_planner.plan import AbortRun, Action, ConfirmRun, StartRun, SuspendSchedule
from podrelay.operator.schedule_planner.planner import SUSPENDED_BY
from podrelay.operator.schedule_planner.view import ScheduleView

PERMISSIONS: Final = (
    # `trigger` and `run` are verbs of the chart's policies: which runs a schedule may start is checked for its author.
    Permission(names.GROUP, (names.TASK_RUNS,), ("create", "get", "patch", "trigger")),
    Permission(names.GROUP, (names.TASK_DEFINITIONS,), ("run",)),
    Permission(names.GROUP, (names.TASK_SCHEDULES,), ("patch",)),
    Permission(names.GROUP, (f"{names.TASK_SCHEDULES}/status",), ("update",)),
)

_decode_run = msgspec.json.Decoder(TaskRun).decode
_decode_schedule = msgspec.json.Decoder(TaskSchedule).decode


class ScheduleExecutor:
    """Carries out the actions of plans for schedules, and writes their status.

    Args:
        client: the API server.
        schedules: the schedules; updated with every answer.
        store: the runs; updated with every answer.
        lease: must be held while runs are created.
        count: called before each write with the name of the write, for metrics.
    """

    def __init__(
        self,
        client: Api,
        schedules: ScheduleCache,
        store: Store,
        lease: Lease,
        count: Callable[[str], None] = lambda _kind: None,
    ) -> None:
        self._client = client
        self._schedules = schedules
        self._store = store
        self._lease = lease
        self._count = count

    async def carry_out(self, key: Key, view: ScheduleView, action: Action) -> bool:
        """Carry out one action; the schedule must be planned again afterwards. Return whether a run was created.

        Raises:
            ApiError: the API server refused the request for a reason other than an old view.
            LeadershipLostError: this process no longer holds the Lease.
            TimeoutError, TransportError: no answer; the write may or may not have happened.
        """
        match action:
            case StartRun():
                return await self._start(key, view, action)
            case ConfirmRun():
                await self._confirm(key, action.name)
            case AbortRun():
                await self._abort(key, action)
            case SuspendSchedule():
                await self._suspend(key, view, action)
        return False

    async def write_status(self, key: Key, view: ScheduleView, status: TaskScheduleStatus) -> bool:
        """Write a status if the schedule has not changed since the view; return whether it was written.

        Raises:
            the same errors as `carry_out`.
        """
        own = view.schedule.metadata
        body = {
            "apiVersion": names.API_VERSION,
            "kind": "TaskSchedule",
            "metadata": {"name": own.name, "uid": own.uid, "resourceVersion": own.resource_version},
            "status": msgspec.to_builtins(status),
        }
        self._lease.require()
        self._count("schedule_status")
        try:
            answer = await self._client.replace(TASK_SCHEDULES, key.namespace, key.name, body, subresource="status")
        except (ConflictError, InvalidError, NotFoundError) as error:
            current = await self._read_schedule(key, own.uid)
            if isinstance(error, InvalidError) and current is not None and _is_same_version(current, view.schedule):
                raise
            return False
        self._schedules.observations(key).status_written()
        self._schedules.schedules.apply(_decode_schedule(answer))
        return True

    async def _start(self, key: Key, view: ScheduleView, action: StartRun) -> bool:
        seen = self._schedules.observations(key)
        own = view.schedule
        given = bytes(own.spec.run.input)
        if not seen.is_current or not given:
            current = await self._read_schedule(key, own.metadata.uid)
            if current is None or not _is_same_version(current, own):
                return False
            seen.is_current = True
            given = given or await self._input(key)
        manifest = _manifest(own, action, given, self._deadline())
        self._count("create_run")
        try:
            body = await self._client.create(TASK_RUNS, key.namespace, manifest, before=self._lease.require)
        except AlreadyExistsError:
            await self._take_note_of_existing(key, action)
            return False
        except ApiError as error:
            if error.is_transient or error.is_end_of_namespace:
                raise
            seen.refusal = limits.cut(error.message, limits.RECENT_MESSAGE_LENGTH)
            return False
        seen.started.add(action.name)
        self._store.runs.apply(_decode_run(body))
        return True

    def _deadline(self) -> dict[str, str]:
        until = self._lease.good_until()
        if until is None:
            return {}
        return {names.ANNOTATION_GOOD_UNTIL: until.replace(microsecond=0).isoformat().replace("+00:00", "Z")}

    async def _take_note_of_existing(self, key: Key, action: StartRun) -> None:
        seen = self._schedules.observations(key)
        with contextlib.suppress(NotFoundError):  # deleted meanwhile: planned again
            run = _decode_run(await self._client.get(TASK_RUNS, key.namespace, action.name))
            self._store.runs.apply(run)
            scheduled = run.spec.scheduled
            is_own = scheduled is not None and (scheduled.schedule, scheduled.time) == (key.name, action.time)
            (seen.started if is_own else seen.taken).add(action.name)

    async def _confirm(self, key: Key, name: str) -> None:
        try:
            run = _decode_run(await self._client.get(TASK_RUNS, key.namespace, name))
        except NotFoundError:
            self._schedules.observations(key).gone.add(name)
            return
        self._store.runs.restore(run)

    async def _abort(self, key: Key, action: AbortRun) -> None:
        patch = {"metadata": {"uid": action.uid}, "spec": {"abort": {"message": action.message}}}
        self._lease.require()
        self._count("abort_run")
        try:
            body = await self._client.patch(TASK_RUNS, key.namespace, action.name, patch)
        except (ConflictError, NotFoundError, InvalidError):
            # Finished, deleted or aborted meanwhile.
            await self._confirm(key, action.name)
            return
        self._store.runs.apply(_decode_run(body))

    async def _suspend(self, key: Key, view: ScheduleView, action: SuspendSchedule) -> None:
        own = view.schedule.metadata
        patch = {
            "metadata": {"uid": own.uid, "resourceVersion": own.resource_version},
            "spec": {"suspend": True, "suspendNote": action.note, "suspendedBy": SUSPENDED_BY},
        }
        self._lease.require()
        self._count("suspend_schedule")
        try:
            body = await self._client.patch(TASK_SCHEDULES, key.namespace, key.name, patch)
        except (ConflictError, NotFoundError):
            await self._read_schedule(key, own.uid)
            return
        self._schedules.schedules.apply(_decode_schedule(body))

    async def _read_schedule(self, key: Key, uid: str) -> TaskSchedule | None:
        try:
            current = _decode_schedule(await self._client.get(TASK_SCHEDULES, key.namespace, key.name))
        except NotFoundError:
            self._schedules.schedules.forget(key, key.name, uid)
            return None
        self._schedules.schedules.apply(current)
        return current

    async def _input(self, key: Key) -> bytes:
        """Read an input that is not kept in memory."""
        body = await self._client.get(TASK_SCHEDULES, key.namespace, key.name)
        return bytes(msgspec.json.decode(body, type=_WithInput).spec.run.input)


class _RunInput(msgspec.Struct):
    input: msgspec.Raw = msgspec.Raw(b"null")


class _SpecInput(msgspec.Struct):
    run: _RunInput


class _WithInput(msgspec.Struct):
    spec: _SpecInput


def _is_same_version(one: TaskSchedule, other: TaskSchedule) -> bool:
    return one.metadata.resource_version == other.metadata.resource_version


def _manifest(schedule: TaskSchedule, action: StartRun, given: bytes, more: dict[str, str]) -> dict[str, Any]:
    run, about = schedule.spec.run, schedule.metadata.annotations
    author = about.changed_by or about.created_by
    spec = {
        "definition": run.definition,
        "input": msgspec.json.decode(given),
        "displayName": run.display_name,
        "ttlSecondsAfterFinished": run.ttl_seconds_after_finished,
        "secret": run.secret,
        "overrides": run.overrides,
        "scheduled": _given(
            {
                "schedule": schedule.metadata.name,
                "time": action.time,
                "previous": action.previous,
                "next": action.next,
                "backfill": action.backfill,
            }
        ),
    }
    return {
        "apiVersion": names.API_VERSION,
        "kind": "TaskRun",
        "metadata": {
            "name": action.name,
            "namespace": schedule.metadata.namespace,
            "labels": {names.LABEL_DEFINITION: run.definition, names.LABEL_SCHEDULE: schedule.metadata.name},
            "annotations": _given({names.ANNOTATION_CREATED_BY: author}) | more,
        },
        "spec": _given(spec),
    }


def _given(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in msgspec.to_builtins(fields).items() if value is not None}
