"""Signals for runs: what `TaskService.signal` and `TaskService.signals` do and return."""

import contextlib
from typing import Any

from podrelay.api import invalid_input, names, signal_requests
from podrelay.api.signal_requests import InvalidSignalError
from podrelay.client import following
from podrelay.client.errors import (
    ConflictError,
    InvalidInputError,
    RequestRefusedError,
    SignalConflictError,
    TaskFinishedError,
)
from podrelay.client.resources import Query, Resource, Resources
from podrelay.client.results import Signal, run_of, signal_of
from podrelay.schemas.blocking import BlockingChecker


def send(
    resources: Resources,
    checker: BlockingChecker,
    namespace: str,
    id: str,
    signal: str,
    payload: Any,
    decision: str | None,
    key: str | None,
) -> Signal:
    """Send a signal to a run.

    Raises:
        TaskNotFoundError: there is no such run.
        TaskFinishedError: it has finished.
        InvalidInputError: the signal or its payload is not valid.
        SignalConflictError: the run has a different signal with this key.
    """
    run = following.existing(resources, namespace, id)
    state = run_of(run)
    if state.is_finished and key is None:
        words = f"Task {id} has finished ({state.status}), so it waits for no signal!"
        raise TaskFinishedError(words, {"id": id, "status": state.status})
    definition = _definition(resources, namespace, run["spec"]["definition"])
    try:
        manifest = signal_requests.task_signal(
            run,
            signal,
            payload,
            decision=decision,
            key=key,
            sender=resources.user(),
            groups=resources.groups() if decision is not None else (),
            definition=definition,
        )
        schema = signal_requests.payload_schema(definition, signal)
    except InvalidSignalError as error:
        raise InvalidInputError.of_field(error.argument, error.problem) from error
    invalid = checker.check(schema, manifest["spec"].get("payload") or {}) if schema is not None else None
    if invalid:
        words = invalid_input.in_words(invalid, "The payload does not satisfy the schema of the signal.")
        raise InvalidInputError(words, {"invalidFields": invalid})
    with contextlib.suppress(ConflictError):
        return signal_of(resources.create(names.TASK_SIGNALS, namespace, manifest))
    stored = resources.get(names.TASK_SIGNALS, namespace, manifest["metadata"]["name"])
    if not signal_requests.is_same(stored, manifest):
        words = f"Task {id} has another signal with this key, which says something else; use another key"
        raise SignalConflictError(words, {"id": id, "key": key})
    return signal_of(stored)


def find(resources: Resources, namespace: str, id: str) -> list[Signal]:
    """Return the signals of a run, oldest first."""
    query = Query(names.TASK_SIGNALS, namespace, fields=f"spec.taskRun={id}")
    found = [signal_of(item) for item in resources.items(query)]
    return sorted(found, key=lambda signal: (signal.created_on, signal.key))


def _definition(resources: Resources, namespace: str, name: str) -> Resource | None:
    """Return a definition; None if it does not exist, or may not be read: then the operator checks the signal."""
    try:
        return resources.get(names.TASK_DEFINITIONS, namespace, name)
    except RequestRefusedError:
        return None
