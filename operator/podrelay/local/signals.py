"""Signals that a test sends to its run, and the check of their payloads without a JSON Schema library."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, NamedTuple

from podrelay.api import names
from podrelay.local.world import World
from podrelay.sdk.definition import TaskDefinition
from podrelay.sdk.errors import InputError
from podrelay.sdk.signals import in_resource
from podrelay.sdk.validation import InputRules


class SentSignal(NamedTuple):
    """A signal that a test sends to its run.

    Attributes:
        name: name of the signal, for example payment.
        payload: its data, a dict; None for none.
        after: when it is sent: seconds after the creation of the run.
        key: identifies the event; of two signals with the same key, the second has no effect. Default: its own key.
        sender: name of the user who sends it.
        groups: groups of that user, for an approval.
        decision: Approve or Reject for an approval.
    """

    name: str
    payload: dict[str, Any] | None = None
    after: float | timedelta = 0.0
    key: str | None = None
    sender: str | None = None
    groups: Sequence[str] = ()
    decision: str | None = None


def send(world: World, run: str, signals: Sequence[SentSignal]) -> None:
    """Let `world` send signals to a run at their times."""
    for number, signal in enumerate(signals):
        wanted = _manifest(run, signal, signal.key or f"{run}-signal-{number + 1}")
        after = signal.after.total_seconds() if isinstance(signal.after, timedelta) else signal.after
        world.call_after(after, lambda wanted=wanted: world.send_signal(wanted))  # type: ignore[misc]


def check_by_models(world: World, definition: type[TaskDefinition]) -> None:
    """Let `world` check the payloads of signals with the models of a class."""
    for signal in definition.signals or ():
        model = signal.get("payload")
        if model is not None:
            schema = in_resource(signal)["payloadSchema"]
            world.check_signals(schema, lambda payload, model=model: _invalid_fields(model, payload))  # type: ignore[misc]


def _invalid_fields(model: type, payload: dict[str, Any]) -> Mapping[str, Any]:
    try:
        InputRules(model).check(payload)
    except InputError as error:
        found: Mapping[str, Any] = (error.data or {}).get("invalidFields") or {"": {"message": str(error)}}
        return found
    return {}


def _manifest(run: str, signal: SentSignal, key: str) -> dict[str, Any]:
    fields = {
        "taskRun": run,
        "signal": signal.name,
        "payload": signal.payload,
        "decision": signal.decision,
        "groups": list(signal.groups) or None,
    }
    metadata: dict[str, Any] = {"name": key}
    if signal.sender is not None:
        metadata["annotations"] = {names.ANNOTATION_CREATED_BY: signal.sender}
    return {"metadata": metadata, "spec": {field: value for field, value in fields.items() if value is not None}}
