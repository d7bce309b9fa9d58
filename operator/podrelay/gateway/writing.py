"""Everything that changes something, with the caller's own token, so that RBAC and admission policies decide.

A run that is triggered here equals one that kubectl could have applied: `podrelay.api.triggering` makes the manifest.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypeVar

import msgspec

from podrelay.api import limits, names, triggering
from podrelay.gateway.call import Call
from podrelay.gateway.checking import check_input
from podrelay.gateway.errors import (
    API_FAILURES,
    ConflictError,
    DelayError,
    NotAuthorizedError,
    RefusedError,
    TaskAbortError,
    TaskNotFoundError,
    UnknownDefinitionError,
    ValidationError,
    from_api,
)
from podrelay.gateway.fields import status_word
from podrelay.gateway.objects import FINISHED, TASK_DEFINITIONS, TASK_RUNS, Definition, Key, Run
from podrelay.gateway.payloads import Object, fetch
from podrelay.gateway.written import Write
from podrelay.kube.errors import AlreadyExistsError, NotFoundError

T = TypeVar("T")

_OF_GARBAGE_COLLECTION: Final = frozenset({"orphan", "foregroundDeletion"})
_DISPLAY_NAME_LENGTH: Final = 256
_ABORT_MESSAGE_LENGTH: Final = 1024


class _DeletedMetadata(msgspec.Struct, frozen=True):
    finalizers: tuple[str, ...] = ()


class _Deleted(msgspec.Struct, frozen=True):
    kind: str = ""
    metadata: _DeletedMetadata = _DeletedMetadata()


@dataclass(frozen=True)
class Trigger:
    """What is to be started.

    Attributes:
        definition: id or resource name of the definition.
        input: any JSON value; only an object will do.
        name: for people.
        delay: seconds.
        start_at: or a moment.
        parent: id of the run that it becomes a child of.
        idempotency_key: whoever triggers with the same key gets the same run.
    """

    definition: str
    input: Any = None
    name: str | None = None
    delay: float | None = None
    start_at: datetime | None = None
    parent: str | None = None
    idempotency_key: str | None = None


async def trigger(call: Call, wanted: Trigger) -> Run:
    """Start a run and return it, or the one that the same idempotency key has started before.

    Raises:
        GatewayError: it cannot be started; the subclass says why.
    """
    namespace = call.scope.one()
    definition = await _definition(call, Key(namespace, names.definition_name(wanted.definition)), wanted.definition)
    payload = await _off(call, lambda: _payload(wanted.input))
    await check_input(call, definition, payload)
    about: dict[str, Any] = {
        "namespace": namespace,
        "idempotency_key": wanted.idempotency_key,
        "display_name": _display_name(wanted.name),
        "delay_seconds": _delay(wanted),
        "start_at": wanted.start_at,
        "parent": await _parent(call, wanted.parent) if wanted.parent else None,
        "created_by": await call.services.access.user(call.caller),
    }
    return await _create(
        call, await _off(call, lambda: triggering.manifest(definition.metadata.name, payload, **about))
    )


async def rerun(call: Call, ident: str, input: Any = None, name: str | None = None) -> Run:
    """Start a run with the definition and input of another one, and return it.

    Raises:
        GatewayError: it cannot be started; the subclass says why.
    """
    key = await call.task_key("get", ident)
    stored = await fetch(call, TASK_RUNS, key)
    if not stored:
        raise TaskNotFoundError(ident)
    spec = stored["spec"]
    definition = await _definition(call, Key(key.namespace, spec["definition"]), spec["definition"])
    payload = spec.get("input") if input is None else await _off(call, lambda: _payload(input))
    await check_input(call, definition, payload)
    about: dict[str, Any] = {
        "namespace": key.namespace,
        "display_name": _display_name(name) or spec.get("displayName"),
        "secret": spec.get("secret"),
        "created_by": await call.services.access.user(call.caller),
        "rerun_of": key.name,
    }
    return await _create(call, await _off(call, lambda: triggering.manifest(spec["definition"], payload, **about)))


async def abort(call: Call, key: Key, ident: str, message: str | None, *, cascade: bool) -> Run:
    """Ask a run to stop, and return it.

    Raises:
        TaskAbortError: it is finished, or is being aborted in another way.
        GatewayError: it cannot be asked; the subclass says why.
    """
    wish: dict[str, Any] = {"message": limits.cut(message, _ABORT_MESSAGE_LENGTH)} if message else {}
    if cascade:
        wish["cascade"] = True
    if user := await call.services.access.user(call.caller):
        wish["by"] = user
    try:
        return await _patch(call, key, ident, {"abort": wish}, "abort")
    except RefusedError:
        stored = await fetch(call, TASK_RUNS, key)
        if not stored:
            raise TaskNotFoundError(ident) from None
        phase, earlier = stored.get("status", {}).get("phase") or "Pending", stored["spec"].get("abort")
        about = {"id": ident, "status": status_word(phase)}
        if phase in FINISHED:
            raise TaskAbortError("Cannot abort a task that is not pending or running!", about) from None
        if earlier is None:
            raise
        if cascade and not earlier.get("cascade"):
            raise TaskAbortError("The task is being aborted already, without its children.", about) from None
        return msgspec.convert(stored, Run)


async def suspend(call: Call, key: Key, ident: str, *, suspended: bool) -> Run:
    """Let a run start no further pod, or let it go on; return it.

    Raises:
        GatewayError: it cannot be done; the subclass says why.
    """
    return await _patch(call, key, ident, {"suspend": suspended}, "suspend" if suspended else "resume")


async def delete(call: Call, key: Key, ident: str, *, cascade: bool) -> None:
    """Delete a run; with `cascade` its children too, else they stay as orphans.

    Raises:
        GatewayError: it cannot be done; the subclass says why.
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
    """Return a definition that may be triggered here."""
    known = call.cache.definitions.get(key)
    if known is None and names.is_camel_case(names.definition_id(key.name)):
        # It may be newer than the cache.
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


async def _parent(call: Call, ident: str) -> Object:
    key = await call.task_key("get", ident)
    stored = await fetch(call, TASK_RUNS, key)
    if not stored:
        raise TaskNotFoundError(ident)
    return stored


async def _create(call: Call, manifest: Object) -> Run:
    namespace, name = manifest["metadata"]["namespace"], manifest["metadata"]["name"]
    try:
        created = await _whole(call, call.caller.client.create(TASK_RUNS, namespace, manifest, strict=True))
    except AlreadyExistsError:
        stored = await fetch(call, TASK_RUNS, Key(namespace, name))
        if not stored:
            raise ConflictError(f"Task {name} has just been deleted. Try again.", {"id": name}) from None
        try:
            await _off(call, lambda: triggering.check_same(stored, manifest))
        except triggering.TriggerConflictError as error:
            raise ConflictError(str(error), {"id": name}) from error
        return msgspec.convert(stored, Run)
    except API_FAILURES as error:
        raise from_api(error, f"start a task of {manifest['spec']['definition']}") from error
    return _seen(call, msgspec.json.decode(created, type=Run))


async def _patch(call: Call, key: Key, ident: str, spec: dict[str, Any], verb: str) -> Run:
    patching = call.caller.client.patch(TASK_RUNS, key.namespace, key.name, {"spec": spec})
    return _seen(call, msgspec.json.decode(await _for_task(_whole(call, patching), ident, verb), type=Run))


async def _whole(call: Call, request: Awaitable[T]) -> T:
    """Let a write that was sent come to its end, also when nobody waits for its answer any more."""
    write = asyncio.ensure_future(request)
    under_way = call.services.under_way
    under_way.add(write)
    write.add_done_callback(under_way.discard)
    write.add_done_callback(lambda done: done.cancelled() or done.exception())  # else it is logged as not looked at
    return await asyncio.shield(write)


def _seen(call: Call, run: Run) -> Run:
    """Let whoever reads next see what was written."""
    call.cache.runs.wrote(run)
    call.writes.append(Write(run.key, run.metadata.uid, run.metadata.version))
    return run


def _still_there(body: bytes) -> Run | None:
    """Return the run that somebody's finalizer keeps after its deletion; None where only garbage collection does."""
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
    """Do what looks at each value of an input beside the event loop: there may be a hundred thousand of them."""
    return await call.services.offloop.run(await call.services.access.user(call.caller), work)


def _payload(input: Any) -> dict[str, Any] | None:
    if input is None:
        return None
    try:
        limits.check_payload(input, "input")
    except limits.PayloadError as error:
        raise ValidationError(str(error), "input") from error
    checked: dict[str, Any] = input
    return checked


def _display_name(name: str | None) -> str | None:
    if name is not None and len(name) > _DISPLAY_NAME_LENGTH:
        raise ValidationError(f"name must have at most {_DISPLAY_NAME_LENGTH} characters.", "name")
    return name or None


def _delay(wanted: Trigger) -> int | None:
    delay = wanted.delay
    if not delay:
        return None
    if wanted.start_at is not None:
        raise ValidationError("delay and startAt exclude each other.", "startAt")
    if delay < 0 or delay != int(delay):
        raise ValidationError("delay must be a whole number of seconds, not below 0.", "delay")
    if delay >= limits.MAX_WAIT_SECONDS:
        raise DelayError("The maximum delay for a task is 355 days.", {"delay": delay})
    return int(delay)
