"""What users send to a run: the task service, the CLI and the gateway build their TaskSignals here.

Standard library only.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from podrelay.api import limits, names, numbers, run_names
from podrelay.api.errors import InvalidArgumentError

APPROVE: Final = "Approve"
REJECT: Final = "Reject"
DECISIONS: Final = (APPROVE, REJECT)


class InvalidSignalError(InvalidArgumentError):
    """An argument is invalid; nothing was sent."""


def task_signal(
    run: Mapping[str, Any],
    signal: str,
    payload: Any = None,
    *,
    decision: str | None = None,
    key: str | None = None,
    sender: str | None = None,
    groups: Sequence[str] = (),
    definition: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the TaskSignal for a run.

    Args:
        run: the TaskRun.
        signal: name of the signal.
        payload: a JSON object, or None.
        decision: Approve or Reject for an approval.
        key: the same key gives the same signal of the run; None: a new one.
        sender: name of the user who sends it, as the API server knows it.
        groups: all groups of that user.
        definition: the TaskDefinition of the run, if it could be read.

    Raises:
        InvalidSignalError: an argument is invalid.
    """
    name, namespace = run["metadata"]["name"], run["metadata"]["namespace"]
    kind = _kind(definition, signal)
    spec: dict[str, Any] = {"taskRun": name, "signal": signal}
    if payload is not None:
        spec["payload"] = _stored(payload)
    if decision is not None:
        if decision not in DECISIONS:
            raise InvalidSignalError("decision", f"must be {' or '.join(DECISIONS)}, not {decision!r}")
        spec["decision"] = decision
        counting = [group for group in groups if group in _groups_that_count(kind, groups)]
        if counting:
            spec["groups"] = counting[: limits.SIGNAL_GROUPS]
    about: dict[str, Any] = {
        "name": run_names.name_for(name, signal, key) if key is not None else run_names.random_name(name),
        "namespace": namespace,
        "ownerReferences": [
            {"apiVersion": names.API_VERSION, "kind": "TaskRun", "name": name, "uid": run["metadata"]["uid"]}
        ],
    }
    if sender:
        about["annotations"] = {names.ANNOTATION_CREATED_BY: sender}
    return {"apiVersion": names.API_VERSION, "kind": "TaskSignal", "metadata": about, "spec": spec}


def payload_schema(definition: Mapping[str, Any] | None, signal: str) -> dict[str, Any] | None:
    """Return the JSON Schema for the payload of a signal, if its definition has one."""
    kind = _kind(definition, signal)
    schema: dict[str, Any] | None = kind.get("payloadSchema") if kind is not None else None
    return schema


def is_same(stored: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Return whether two TaskSignals say the same; groups do not matter."""
    fields = ("taskRun", "signal", "payload", "decision")
    return all(stored["spec"].get(field) == wanted["spec"].get(field) for field in fields)


def _kind(definition: Mapping[str, Any] | None, signal: str) -> Mapping[str, Any] | None:
    """Return what the definition says about a signal.

    Raises:
        InvalidSignalError: the name is not valid, or its runs do not understand it.
    """
    if not names.is_signal(signal):
        raise InvalidSignalError(
            "signal", f"must have at most 63 letters, digits, '-', '_' and '.', and begin with a letter, not {signal!r}"
        )
    known = definition["spec"].get("signals") if definition is not None else None
    if known is None:
        return None
    found: Mapping[str, Any] | None = next((item for item in known if item["name"] == signal), None)
    if found is None:
        words = ", ".join(item["name"] for item in known) or "none"
        raise InvalidSignalError("signal", f"{signal} is not understood by this task; it knows: {words}")
    return found


def _groups_that_count(kind: Mapping[str, Any] | None, groups: Sequence[str]) -> Sequence[str]:
    """Return the groups that may decide; all groups if that is not known."""
    approval = kind.get("approval") if kind is not None else None
    if approval is None:
        return groups
    found: Sequence[str] = approval.get("groups") or ()
    return found


def _stored(payload: Any) -> Any:
    try:
        data = limits.check_payload(payload, "payload")
    except limits.PayloadError as error:
        raise InvalidSignalError("payload", str(error).removeprefix("payload ")) from error
    if len(data) > limits.SIGNAL_BYTES:
        raise InvalidSignalError(
            "payload",
            f"has {len(data)} bytes as JSON, the limit is {limits.SIGNAL_BYTES} (64 KiB); keep large data in separate "
            "storage and pass a reference",
        )
    return numbers.loads(data)
