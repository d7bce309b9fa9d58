"""Reads and writes of schedules, with the caller's own token, so that RBAC and admission policies decide.

Schedules are few, so they are read from the API server on request; only subscriptions use the cache.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
import orjson

from podrelay.api import limits, names, schedule_requests
from podrelay.api.schedule_requests import InvalidScheduleRequestError
from podrelay.gateway.call import Call
from podrelay.gateway.errors import (
    API_FAILURES,
    ConflictError,
    GatewayError,
    ScheduleNotFoundError,
    ValidationError,
    from_api,
)
from podrelay.gateway.objects import Run
from podrelay.gateway.payloads import Object, fetch
from podrelay.gateway.read_your_writes import Write
from podrelay.kube import errors as kube_errors
from podrelay.kube.resources import TASK_RUNS, TASK_SCHEDULES, Key
from podrelay.schedules.timetable import Timetable, TimetableError

PAGE: Final = 250
MOST_TIMES: Final = 1000
_ATTEMPTS: Final = 5
"""How often a change is made again because the schedule has changed meanwhile."""


async def find(call: Call) -> list[Object]:
    """Return all schedules of the namespace, or of all namespaces, ordered by namespace and name.

    Raises:
        GatewayError: the caller may not list them, or they are too many for the budget.
    """
    await call.may("list", names.TASK_SCHEDULES)
    path, found, following = TASK_SCHEDULES.path(call.scope.namespace), [], ""
    while True:
        call.budget.take_fetch()
        params = {"limit": str(PAGE)} | ({"continue": following} if following else {})
        try:
            body = await call.caller.client.request("GET", path, params=params)
        except API_FAILURES as error:
            raise from_api(error, "list schedules") from error
        call.budget.take_payload(len(body))
        page = orjson.loads(body)
        found += page["items"]
        call.budget.take_rows(len(page["items"]))
        following = page["metadata"].get("continue") or ""
        if not following:
            return found


async def get(call: Call, ident: str) -> tuple[Key, Object]:
    """Return a schedule and its key.

    Raises:
        ScheduleNotFoundError: there is none with this id.
        GatewayError: the caller may not read it.
    """
    key = await key_of(call, "get", ident)
    stored = await fetch(call, TASK_SCHEDULES, key, call.budget)
    if not stored:
        raise ScheduleNotFoundError(ident)
    return key, stored


async def key_of(call: Call, verb: str, ident: str) -> Key:
    """Return the key of the schedule that an id names, if the caller may do this with it.

    Raises:
        ScheduleNotFoundError: no schedule can have this id.
        GatewayError: the caller may not.
    """
    try:
        key = call.scope.key(ident)
    except GatewayError:
        await call.may(verb, names.TASK_SCHEDULES)
        raise ScheduleNotFoundError(ident) from None
    await call.may(verb, names.TASK_SCHEDULES, key)
    return key


def times(spec: Object, count: int, start: datetime | None) -> list[datetime]:
    """Return the next times of a schedule, at most 1000.

    Args:
        spec: the spec of a TaskSchedule; only the fields about times are read.
        count: how many.
        start: the earliest time, aware; None: now.

    Raises:
        ValidationError: a rule is invalid.
    """
    begin = start or datetime.now(UTC)
    try:
        timetable = Timetable(spec)
    except TimetableError as error:
        raise ValidationError(str(error), "schedules") from error
    # A time at the begin itself counts as well.
    before = datetime.fromtimestamp(begin.timestamp() // 1 - (begin.microsecond == 0), UTC)
    return timetable.next(before, max(0, min(count, MOST_TIMES)))


async def trigger(call: Call, ident: str, input: Any, idempotency_key: str | None) -> Run:
    """Start a run of a schedule now, and return it.

    Raises:
        GatewayError: it cannot be started; the subclass says why.
    """
    await call.may("create", names.TASK_RUNS)
    key, schedule = await get(call, ident)
    user = await call.services.access.user(call.caller)
    try:
        manifest = schedule_requests.triggered_run(
            schedule, datetime.now(UTC), input=input, created_by=user, key=idempotency_key
        )
    except limits.PayloadError as error:
        raise ValidationError(str(error), "input") from error
    name = manifest["metadata"]["name"]
    try:
        body = await call.caller.client.create(TASK_RUNS, key.namespace, manifest, strict=True)
    except kube_errors.AlreadyExistsError:
        stored = await fetch(call, TASK_RUNS, Key(key.namespace, name))
        if not stored:
            raise ConflictError(f"Task {name} has just been deleted. Try again.", {"id": name}) from None
        return msgspec.convert(stored, Run)
    except API_FAILURES as error:
        raise from_api(error, f'trigger schedule "{ident}"') from error
    run = msgspec.json.decode(body, type=Run)
    call.cache.runs.wrote(run)
    call.writes.append(Write(run.key, run.metadata.uid, run.metadata.version))
    return run


async def create(call: Call, ident: str, spec: Any) -> Object:
    """Create a schedule and return it.

    Raises:
        ConflictError: there is a schedule with this id.
        GatewayError: it cannot be created; the subclass says why.
    """
    await call.may("create", names.TASK_SCHEDULES)
    key = call.scope.key(ident)
    user = await call.services.access.user(call.caller)
    try:
        manifest = schedule_requests.new_schedule(key.name, spec, namespace=key.namespace, created_by=user)
    except InvalidScheduleRequestError as error:
        raise ValidationError(f"{error.argument} {error.problem}.", error.argument) from error
    try:
        body = await call.caller.client.create(TASK_SCHEDULES, key.namespace, manifest, strict=True)
    except kube_errors.AlreadyExistsError as error:
        raise ConflictError(f"Schedule {ident} already exists.", {"id": ident}) from error
    except API_FAILURES as error:
        raise from_api(error, f'create schedule "{ident}"') from error
    created: Object = orjson.loads(body)
    return created


async def update(call: Call, ident: str, spec: Any) -> Object:
    """Change fields of the spec of a schedule, as a merge patch, and return it.

    Raises:
        ScheduleNotFoundError: there is none with this id.
        GatewayError: it cannot be changed; the subclass says why.
    """
    key = await key_of(call, "patch", ident)
    user = await call.services.access.user(call.caller)
    try:
        patch = schedule_requests.changed_schedule(spec, user)
    except InvalidScheduleRequestError as error:
        raise ValidationError(f"{error.argument} {error.problem}.", error.argument) from error
    try:
        body = await call.caller.client.patch(TASK_SCHEDULES, key.namespace, key.name, patch, strict=True)
    except kube_errors.NotFoundError as error:
        raise ScheduleNotFoundError(ident) from error
    except API_FAILURES as error:
        raise from_api(error, f'change schedule "{ident}"') from error
    changed: Object = orjson.loads(body)
    return changed


async def change(call: Call, ident: str, make: Callable[[Object], Object]) -> Object:
    """Patch the spec of a schedule, on condition that it has not changed since it was read, and return it.

    Args:
        call: the call.
        ident: id of the schedule.
        make: returns the merge patch of the spec for the current schedule.

    Raises:
        GatewayError: it cannot be changed; the subclass says why.
    """
    key = await key_of(call, "patch", ident)
    for _ in range(_ATTEMPTS):
        schedule = await fetch(call, TASK_SCHEDULES, key)
        if not schedule:
            raise ScheduleNotFoundError(ident)
        try:
            spec = make(schedule)
        except InvalidScheduleRequestError as error:
            raise ValidationError(f"{error.argument} {error.problem}.", error.argument) from error
        patch = {"metadata": {"resourceVersion": schedule["metadata"]["resourceVersion"]}, "spec": spec}
        try:
            body = await call.caller.client.patch(TASK_SCHEDULES, key.namespace, key.name, patch)
        except kube_errors.ConflictError:
            continue
        except kube_errors.NotFoundError as error:
            raise ScheduleNotFoundError(ident) from error
        except API_FAILURES as error:
            raise from_api(error, f'change schedule "{ident}"') from error
        changed: Object = orjson.loads(body)
        return changed
    raise ConflictError(f"Schedule {ident} is being changed by others. Try again.", {"id": ident})


async def delete(call: Call, ident: str) -> None:
    """Delete a schedule. Its runs stay.

    Raises:
        GatewayError: it cannot be deleted; the subclass says why.
    """
    key = await key_of(call, "delete", ident)
    body = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background"}
    try:
        await call.caller.client.request("DELETE", TASK_SCHEDULES.path(key.namespace, key.name), body=body)
    except kube_errors.NotFoundError as error:
        raise ScheduleNotFoundError(ident) from error
    except API_FAILURES as error:
        raise from_api(error, f'delete schedule "{ident}"') from error
