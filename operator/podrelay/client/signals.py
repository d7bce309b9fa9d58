"""Signals for runs: what `TaskService.signal` and `TaskService.signals` do and return."""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
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
from podrelay.client.results import run_of
from podrelay.schemas.blocking import BlockingChecker


@dataclass(frozen=True, slots=True)
class Signal:
    """A TaskSignal as of the time when it was read.

    Attributes:
        key: name of the TaskSignal, which identifies the event.
        run: id of the run.
        signal: name of the signal.
        payload: its data.
        phase: Pending, Consumed or Rejected.
        created_on: when it was sent.
        decision: Approve or Reject, for an approval.
        sender: the user who sent it, if known.
        reason: why it was rejected, in one CamelCase word.
        message: the same in plain text.
        iteration: the iteration that has consumed it.
        resource: the whole TaskSignal, as the API server sent it.
    """

    key: str
    run: str
    signal: str
    phase: str
    created_on: datetime
    payload: dict[str, Any] = field(default_factory=dict, hash=False)
    decision: str | None = None
    sender: str | None = None
    reason: str = ""
    message: str = ""
    iteration: int | None = None
    resource: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


def signal_of(resource: Resource) -> Signal:
    """Return the signal of a TaskSignal resource."""
    about, spec, status = resource["metadata"], resource["spec"], resource.get("status") or {}
    return Signal(
        key=about["name"],
        run=spec["taskRun"],
        signal=spec["signal"],
        phase=status.get("phase") or "Pending",
        created_on=datetime.fromisoformat(about["creationTimestamp"]),
        payload=spec.get("payload") or {},
        decision=spec.get("decision"),
        sender=(about.get("annotations") or {}).get(names.ANNOTATION_CREATED_BY),
        reason=status.get("reason") or "",
        message=status.get("message") or "",
        iteration=status.get("iteration"),
        resource=resource,
    )


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
