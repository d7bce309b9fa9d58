"""All writes of tasks, made with the caller's own token, so that RBAC and admission policies decide.

A run that is triggered here does not differ from one applied with kubectl: `podrelay.api.wanted_run` creates the
manifest.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

import msgspec

from podrelay.api import limits, names
from podrelay.api.phases import FINISHED, STATUS_WORDS
from podrelay.api.wanted_run import (
    DelayTooLongError,
    InvalidRunError,
    TriggerConflictError,
    WantedRun,
    check_same,
    new_start,
    wanted_run,
)
from podrelay.gateway.call import Call
from podrelay.gateway.errors import (
    API_FAILURES,
    ConflictError,
    DelayError,
    GatewayError,
    NotAuthorizedError,
    RefusedError,
    TaskAbortError,
    TaskNotFoundError,
    TaskStartedError,
    UnknownDefinitionError,
    ValidationError,
    from_api,
)
from podrelay.gateway.input_check import check_input, invalid_fields
from podrelay.gateway.objects import Definition, Run
from podrelay.gateway.override_check import check_overrides
from podrelay.gateway.payloads import Object, fetch
from podrelay.gateway.read_your_writes import Write
from podrelay.kube.errors import AlreadyExistsError, NotFoundError
from podrelay.kube.resources import TASK_DEFINITIONS, TASK_RUNS, Key

T = TypeVar("T")

_OF_GARBAGE_COLLECTION: Final = frozenset({"orphan", "foregroundDeletion"})
_ABORT_MESSAGE_LENGTH: Final = 1024


class _DeletedMetadata(msgspec.Struct, frozen=True):
    finalizers: tuple[str, ...] = ()


class _Deleted(msgspec.Struct, frozen=True):
    kind: str = ""
    metadata: _DeletedMetadata = _DeletedMetadata()


async def trigger(call: Call, definition: str, parent: str | None, **arguments: Any) -> Run:
    """Start a run and return it; if the idempotency key has been used before, return the run that it started.

    Args:
        call: the call, with the caller and the namespace.
        definition: id or resource name of the definition.
        parent: id of the parent, or None.
        arguments: further arguments of `podrelay.api.wanted_run.wanted_run`.

    Raises:
        GatewayError: the run cannot be started; the subclass says why.
    """
    namespace = call.scope.one()
    known = await _definition(call, Key(namespace, names.definition_name(definition)), definition)
    wanted = await _off(call, lambda: _wanted(definition, **arguments))
    await check_input(call, known, wanted.input)
    await check_overrides(call, known, wanted.overrides)
    parent_run = await _stored(call, await call.task_key("get", parent), parent) if parent else None
    return await _create(call, namespace, wanted, parent=parent_run)


async def validate(call: Call, definition: str, input: Any) -> tuple[dict[str, Any], str | None]:
    """Return the invalid fields of an input, by path, and why it could not be checked (None: it was checked).

    Raises:
        GatewayError: the definition does not exist, or the caller may not read it; or no task can have such an input.
    """
    key = Key(call.scope.one(), names.definition_name(definition))
    await call.may("get", names.TASK_DEFINITIONS, key)
    known = await _definition(call, key, definition)
    wanted = await _off(call, lambda: _wanted(definition, input))
    return await invalid_fields(call, known, wanted.input)


async def rerun(call: Call, ident: str, input: Any = None, name: str | None = None, overrides: Any = None) -> Run:
    """Start a run with the definition, input and overrides of another run, and return it.

    Raises:
        GatewayError: the run cannot be started; the subclass says why.
    """
    key = await call.task_key("get", ident)
    spec = (await _stored(call, key, ident))["spec"]
    definition = await _definition(call, Key(key.namespace, spec["definition"]), spec["definition"])
    new = await _off(call, lambda: _wanted(spec["definition"], input, name=name, overrides=overrides))
    wanted = new._replace(
        input=spec.get("input") if input is None else new.input,
        name=new.name or spec.get("displayName"),
        secret=spec.get("secret"),
        overrides=spec.get("overrides") if overrides is None else new.overrides,
    )
    await check_input(call, definition, wanted.input)
    await check_overrides(call, definition, wanted.overrides)
    return await _create(call, key.namespace, wanted, rerun_of=key.name)


async def abort(call: Call, key: Key, ident: str, message: str | None, *, cascade: bool) -> Run:
    """Abort a run, and return it; the operator then ends its pod.

    Raises:
        TaskAbortError: the run is finished, or is already being aborted in another way.
        GatewayError: the run cannot be aborted; the subclass says why.
    """
    abort_spec: dict[str, Any] = {"message": limits.cut(message, _ABORT_MESSAGE_LENGTH)} if message else {}
    if cascade:
        abort_spec["cascade"] = True
    if user := await call.services.access.user(call.caller):
        abort_spec["by"] = user
    try:
        return await _patch(call, key, ident, {"abort": abort_spec}, "abort")
    except RefusedError:
        stored = await _stored(call, key, ident)
        phase, earlier = stored.get("status", {}).get("phase") or "Pending", stored["spec"].get("abort")
        about = {"id": ident, "status": STATUS_WORDS[phase]}
        if phase in FINISHED:
            raise TaskAbortError("Cannot abort a task that is not pending or running!", about) from None
        if earlier is None:
            raise
        if cascade and not earlier.get("cascade"):
            raise TaskAbortError("The task is already being aborted, without its children.", about) from None
        return msgspec.convert(stored, Run)


async def reschedule(call: Call, key: Key, ident: str, *, start_at: datetime | None, delay: float | None) -> Run:
    """Change when a run starts that has not started yet, and return it.

    Raises:
        TaskStartedError: the run has started.
        GatewayError: the run cannot be changed; the subclass says why.
    """
    try:
        wanted = new_start(datetime.now(UTC), start_at=start_at, delay=delay)
    except InvalidRunError as error:
        raise _invalid(error, delay) from error
    try:
        return await _patch(call, key, ident, wanted, "reschedule")
    except RefusedError:
        status = (await _stored(call, key, ident)).get("status", {})
        phase = status.get("phase") or "Pending"
        if status.get("startedAt") is None and phase not in FINISHED:
            raise
        about = {"id": ident, "status": STATUS_WORDS[phase]}
        raise TaskStartedError("Cannot reschedule a task that has already started!", about) from None


async def suspend(call: Call, key: Key, ident: str, *, suspended: bool) -> Run:
    """Suspend a run, so that no further pod is created, or resume it; return it.

    Raises:
        GatewayError: the run cannot be changed; the subclass says why.
    """
    return await _patch(call, key, ident, {"suspend": suspended}, "suspend" if suspended else "resume")


async def delete(call: Call, key: Key, ident: str, *, cascade: bool) -> None:
    """Delete a run; with `cascade` also its children, which otherwise remain as orphans.

    Raises:
        GatewayError: the run cannot be deleted; the subclass says why.
    """
    propagation = "Background" if cascade else "Orphan"
    body = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": propagation}
    path = TASK_RUNS.path(key.namespace, key.name)
    known = call.cache.runs.get(key)
    left = await _for_task(_whole(call, call.caller.client.request("DELETE", path, body=body)), ident, "delete")
    run = _still_there(left)
    if run is not None:
        _seen(call, run)
    elif known is not None:
        call.cache.runs.deleted(key, known.metadata.uid)
        call.writes.append(Write(key, known.metadata.uid, None))


async def _definition(call: Call, key: Key, spelled: str) -> Definition:
    """Return a definition that can be triggered by the gateway, that is, not a private one."""
    known = call.cache.definitions.get(key)
    if known is None and names.is_camel_case(names.definition_id(key.name)):
        # The definition may be newer than the cache.
        try:
            known = msgspec.json.decode(
                await call.caller.client.get(TASK_DEFINITIONS, key.namespace, key.name), type=Definition
            )
        except NotFoundError:
            known = None
        except API_FAILURES as error:
            failure = from_api(error, f"read definition {key.name}")
            if not isinstance(failure, NotAuthorizedError):
                raise failure from error
    if known is None or known.spec.private:
        raise UnknownDefinitionError(spelled)
    return known


async def _stored(call: Call, key: Key, ident: str) -> Object:
    """Return the current TaskRun.

    Raises:
        TaskNotFoundError: it does not exist.
    """
    stored = await fetch(call, TASK_RUNS, key)
    if not stored:
        raise TaskNotFoundError(ident)
    return stored


async def _create(call: Call, namespace: str, wanted: WantedRun, **more: Any) -> Run:
    user = await call.services.access.user(call.caller)
    manifest = await _off(call, lambda: wanted.manifest(namespace=namespace, created_by=user, **more))
    name = manifest["metadata"]["name"]
    try:
        created = await _whole(call, call.caller.client.create(TASK_RUNS, namespace, manifest, strict=True))
    except AlreadyExistsError:
        stored = await fetch(call, TASK_RUNS, Key(namespace, name))
        if not stored:
            raise ConflictError(f"Task {name} has just been deleted. Try again.", {"id": name}) from None
        try:
            await _off(call, lambda: check_same(stored, manifest))
        except TriggerConflictError as error:
            raise ConflictError(str(error), {"id": name}) from error
        return msgspec.convert(stored, Run)
    except API_FAILURES as error:
        raise from_api(error, f"start a task of {wanted.definition}") from error
    return _seen(call, msgspec.json.decode(created, type=Run))


async def _patch(call: Call, key: Key, ident: str, spec: dict[str, Any], verb: str) -> Run:
    patching = call.caller.client.patch(TASK_RUNS, key.namespace, key.name, {"spec": spec})
    return _seen(call, msgspec.json.decode(await _for_task(_whole(call, patching), ident, verb), type=Run))


async def _whole(call: Call, request: Awaitable[T]) -> T:
    """Complete a write that was sent, even if the caller no longer waits for its answer."""
    write = asyncio.ensure_future(request)
    under_way = call.services.under_way
    under_way.add(write)
    write.add_done_callback(under_way.discard)
    write.add_done_callback(lambda done: done.cancelled() or done.exception())  # retrieved, so that it is not logged
    return await asyncio.shield(write)


def _seen(call: Call, run: Run) -> Run:
    """Store the result of a write in the cache, so that the next read shows it."""
    call.cache.runs.wrote(run)
    call.writes.append(Write(run.key, run.metadata.uid, run.metadata.version))
    return run


def _still_there(body: bytes) -> Run | None:
    """Return the run if a finalizer keeps it after its deletion, other than those of garbage collection; else None."""
    left = msgspec.json.decode(body, type=_Deleted)
    if left.kind != "TaskRun" or not set(left.metadata.finalizers) - _OF_GARBAGE_COLLECTION:
        return None
    return msgspec.json.decode(body, type=Run)


async def _for_task(request: Awaitable[T], ident: str, verb: str) -> T:
    try:
        return await request
    except NotFoundError as error:
        raise TaskNotFoundError(ident) from error
    except API_FAILURES as error:
        raise from_api(error, f'{verb} task "{ident}"') from error


async def _off(call: Call, work: Callable[[], T]) -> T:
    """Run work that processes each value of an input outside the event loop: there may be a hundred thousand values."""
    return await call.services.offloop.run(await call.services.access.user(call.caller), work)


def _wanted(definition: str, input: Any = None, *, delay: float | None = None, **arguments: Any) -> WantedRun:
    try:
        # A delay of 0 means no delay, as in Webiny, so it may be combined with `startAt`.
        return wanted_run(definition, input, delay=delay or None, **arguments)
    except limits.PayloadError as error:
        raise ValidationError(str(error), "input") from error
    except InvalidRunError as error:
        if error.argument == "definition":
            raise UnknownDefinitionError(definition) from error
        raise _invalid(error, delay) from error


def _invalid(error: InvalidRunError, delay: float | None) -> GatewayError:
    if isinstance(error, DelayTooLongError):
        return DelayError("The maximum delay for a task is 355 days.", {"delay": delay})
    argument = "startAt" if error.argument == "start_at" else error.argument
    return ValidationError(f"{argument} {error.problem}.", argument)
