"""Signals: sent with the caller's own token, so that RBAC and admission policies decide, and checked at once."""

from typing import Any, Final

import orjson

from podrelay.api import names, signal_requests
from podrelay.api.phases import FINISHED, STATUS_WORDS
from podrelay.api.signal_requests import InvalidSignalError
from podrelay.gateway import input_check
from podrelay.gateway.call import Call
from podrelay.gateway.errors import (
    API_FAILURES,
    GatewayError,
    InvalidInputError,
    SignalConflictError,
    TaskFinishedError,
    TaskNotFoundError,
    ValidationError,
    from_api,
)
from podrelay.gateway.objects import Run
from podrelay.gateway.payloads import Object, fetch
from podrelay.kube import errors as kube_errors
from podrelay.kube.resources import TASK_DEFINITIONS, TASK_RUNS, TASK_SIGNALS, Key

MOST_SENT: Final = 100


async def send(
    call: Call, ident: str, signal: str, payload: Any, decision: str | None, idempotency_key: str | None
) -> Object:
    """Send a signal to a run, and return the TaskSignal.

    Raises:
        GatewayError: it cannot be sent; the subclass says why.
    """
    key = await call.task_key("get", ident)
    await call.may("create", names.TASK_SIGNALS, Key(key.namespace, ""))
    run = await fetch(call, TASK_RUNS, key)
    if not run:
        raise TaskNotFoundError(ident)
    phase = (run.get("status") or {}).get("phase")
    if phase in FINISHED and idempotency_key is None:
        about = {"id": ident, "status": STATUS_WORDS[phase]}
        raise TaskFinishedError("Cannot signal a task that is not pending or running!", about)
    definition = await _definition(call, Key(key.namespace, run["spec"]["definition"]))
    user = await call.services.access.identity(call.caller)
    try:
        manifest = signal_requests.task_signal(
            run,
            signal,
            payload,
            decision=decision,
            key=idempotency_key,
            sender=user.username,
            groups=user.groups,
            definition=definition,
        )
        schema = signal_requests.payload_schema(definition, signal)
    except InvalidSignalError as error:
        raise ValidationError(f"{error.argument} {error.problem}.", error.argument) from error
    verdict = await input_check.verdict(call, schema, manifest["spec"].get("payload"))
    if verdict is not None and verdict.problem is None and verdict.fields:
        raise InvalidInputError(verdict.fields)
    return await _create(call, key, manifest)


async def sent_to(call: Call, run: Run, limit: int) -> list[Object]:
    """Return TaskSignals of a run, oldest first; if there are more than 100, any 100 of them.

    Raises:
        GatewayError: the caller may not list them, or they are too large for the budget.
    """
    namespace, name = run.key
    await call.may("list", names.TASK_SIGNALS, Key(namespace, ""))
    call.budget.take_fetch()
    params = {"fieldSelector": f"spec.taskRun={name}", "limit": str(max(1, min(limit, MOST_SENT)))}
    try:
        async with call.budget.fetching:
            body = await call.caller.client.request("GET", TASK_SIGNALS.path(namespace), params=params)
    except API_FAILURES as error:
        raise from_api(error, f'list the signals of task "{name}"') from error
    call.budget.take_payload(len(body))
    found: list[Object] = orjson.loads(body)["items"]
    call.budget.take_rows(len(found))
    return sorted(found, key=lambda one: (one["metadata"]["creationTimestamp"], one["metadata"]["name"]))


async def _create(call: Call, run: Key, manifest: Object) -> Object:
    try:
        body = await call.caller.client.create(TASK_SIGNALS, run.namespace, manifest, strict=True)
    except kube_errors.AlreadyExistsError:
        stored = await fetch(call, TASK_SIGNALS, Key(run.namespace, manifest["metadata"]["name"]))
        if stored and signal_requests.is_same(stored, manifest):
            return stored
        raise SignalConflictError(
            "The task has another signal with this idempotencyKey. Use another key.", {"id": run.name}
        ) from None
    except API_FAILURES as error:
        raise from_api(error, f'signal task "{run.name}"') from error
    created: Object = orjson.loads(body)
    return created


async def _definition(call: Call, key: Key) -> Object | None:
    """Return a definition; None if the caller may not read it: then the operator checks the signal."""
    try:
        return await fetch(call, TASK_DEFINITIONS, key) or None
    except GatewayError:
        return None
