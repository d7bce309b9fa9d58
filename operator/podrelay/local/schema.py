"""Validation for the API server in memory: the resource models with their defaults, limits and rules.

The models are those from which the CRDs are generated. Of the CEL rules and admission policies, only those that affect
runs are implemented; the others restrict users and clients that do not exist without a cluster.
"""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any, Final

from pydantic import ValidationError

from podrelay.api import limits, names
from podrelay.api.common import Model
from podrelay.api.phases import FINISHED
from podrelay.api.task_definition import TaskDefinitionSpec
from podrelay.api.task_iteration import TaskIteration
from podrelay.api.task_run import TaskRunSpec, TaskRunStatus
from podrelay.api.task_schedule import TaskScheduleSpec, TaskScheduleStatus
from podrelay.api.task_signal import TaskSignalSpec, TaskSignalStatus
from podrelay.kube.errors import InvalidError
from podrelay.runner.record import RECORD_BYTES

Object = dict[str, Any]

_DNS_LABEL: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_CHANGEABLE: Final = frozenset({"abort", "suspend", "ttlSecondsAfterFinished"})
_START: Final = ("startAt", "delaySeconds")
_OF_EVERY_OBJECT: Final = frozenset({"apiVersion", "kind", "metadata"})


def admitted(plural: str, before: Object | None, after: Object) -> Object:
    """Validate a write and return the object to store, with defaults.

    Args:
        plural: the kind of object.
        before: the stored object; None for a new one.
        after: the new object.

    Raises:
        InvalidError: the object violates the schema or a rule; the message names the field.
    """
    shape = _SHAPES.get(plural)
    return changed(plural, before, after if shape is None else shape(after))


def changed(plural: str, before: Object | None, after: Object) -> Object:
    """Check only the rules about immutable fields, not the schema, and return `after`.

    Args:
        plural: the kind of object.
        before: the stored object; None for a new one.
        after: the new object.

    Raises:
        InvalidError: the change violates a rule.
    """
    check = _CHANGES.get(plural)
    if check is not None and before is not None:
        check(before, after)
    return after


def is_same(one: Any, other: Any) -> bool:
    """Return whether two JSON values are equal by the API server's rules: 1 and 1.0 are not, nor are 1 and true."""
    return one is other or json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def _definition(after: Object) -> Object:
    name, spec = after["metadata"]["name"], _valid(TaskDefinitionSpec, after.get("spec"), "spec", complete=True)
    if name != names.definition_name(spec["id"]):
        raise _invalid(f"metadata.name must be {names.definition_name(spec['id'])}, spec.id in kebab-case")
    return {**after, "spec": spec}


def _run(after: Object) -> Object:
    name = after["metadata"]["name"]
    if len(name) > limits.RUN_NAME_LENGTH or not _DNS_LABEL.fullmatch(name):
        raise _invalid(
            f"metadata.name must be a DNS label of at most {limits.RUN_NAME_LENGTH} characters (small letters, digits, "
            f'"-" between them), not "{name}"'
        )
    spec, status = after.get("spec"), after.get("status") or {"observedGeneration": -1}
    _check_payload((spec or {}).get("input"), "spec.input")
    _valid(TaskRunSpec, spec, "spec")
    if all((spec or {}).get(field) is not None for field in _START):
        raise _invalid("spec.delaySeconds and spec.startAt are mutually exclusive")
    _valid(TaskRunStatus, status, "status")
    return {**after, "status": status}


def _schedule(after: Object) -> Object:
    name = after["metadata"]["name"]
    if len(name) > limits.SCHEDULE_NAME_LENGTH or not _DNS_LABEL.fullmatch(name):
        raise _invalid(f"metadata.name must be a DNS label of at most {limits.SCHEDULE_NAME_LENGTH} characters")
    spec = _valid(TaskScheduleSpec, after.get("spec"), "spec", complete=True)
    _check_payload(spec["run"].get("input"), "spec.run.input")
    _valid(TaskScheduleStatus, after.get("status") or {}, "status")
    return {**after, "spec": spec}


def _signal(after: Object) -> Object:
    spec = after.get("spec")
    payload = (spec or {}).get("payload")
    _check_payload(payload, "spec.payload")
    size = len(json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode())
    if size > limits.SIGNAL_BYTES:
        raise _invalid(f"spec.payload has {size} bytes as JSON, the limit is {limits.SIGNAL_BYTES} (64 KiB)")
    _valid(TaskSignalSpec, spec, "spec")
    _valid(TaskSignalStatus, after.get("status") or {}, "status")
    return after


def _signal_changed(before: Object, after: Object) -> None:
    if not is_same(before["spec"], after.get("spec")):
        raise _invalid("spec cannot be changed; create another TaskSignal")


def _run_changed(before: Object, after: Object) -> None:
    old, spec, status = before["spec"], after.get("spec") or {}, after.get("status") or {}
    phase = before["status"].get("phase")
    has_started = before["status"].get("startedAt") is not None or phase in FINISHED
    for field in (old.keys() | spec.keys()) - _CHANGEABLE:
        if is_same(old.get(field), spec.get(field)):
            continue
        if field not in _START:
            raise _invalid(f"spec.{field} cannot be changed; create a new TaskRun")
        if has_started:
            raise _invalid(
                "spec.startAt and spec.delaySeconds cannot be changed: the run has already started or is finished"
            )
    if old.get("abort") is not None and spec.get("abort") != old["abort"]:
        raise _invalid("spec.abort cannot be changed or taken back once it is set")
    if phase in FINISHED and status.get("phase") != phase:
        raise _invalid("status.phase cannot be changed: the run is finished")
    if phase in FINISHED and spec.get("abort") is not None and old.get("abort") is None:
        raise _invalid("spec.abort cannot be set: the run is already finished")


def _iteration(after: Object) -> Object:
    fields = {field: value for field, value in after.items() if field not in _OF_EVERY_OBJECT}
    for payload, what in _payloads(fields):
        _check_payload(payload, what)
    size = len(json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode())
    if size > RECORD_BYTES:
        raise _invalid(f"a record has at most {RECORD_BYTES} bytes, this one has {size}")
    _valid(TaskIteration, fields, "")
    response = fields.get("response")
    if fields.get("checkpoint") is not None and response is not None and response["status"] != "error":
        raise _invalid("checkpoint must be dropped once there is a response that is not an error")
    return after


def _iteration_changed(before: Object, after: Object) -> None:
    if before.get("response") is not None and not is_same(before["response"], after.get("response")):
        raise _invalid("response cannot be changed: the first stored response wins")
    if before["podUID"] != after["podUID"]:
        raise _invalid("podUID cannot be changed: a record belongs to one pod")


def _payloads(record: Object) -> Iterator[tuple[Any, str]]:
    for part in ("response", "checkpoint"):
        for field in ("input", "output"):
            yield (record.get(part) or {}).get(field), f"{part}.{field}"
    yield ((record.get("response") or {}).get("error") or {}).get("data"), "response.error.data"


def _check_payload(payload: Any, what: str) -> None:
    if payload is None:
        return
    try:
        limits.check_payload(payload, what)
    except limits.PayloadError as error:
        raise _invalid(str(error)) from error


def _valid(model: type[Model], value: Any, path: str, *, complete: bool = False) -> Object:
    """Return `value`, with the model's defaults if `complete`.

    Only parts of the operator use the API server in memory: a field that no model knows is a mistake in them.
    """
    try:
        parsed = model.model_validate(value)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(str(part) for part in (path, *problem["loc"]) if part != "")
        raise _invalid(f"{where}: {problem['msg']}") from error
    if not complete:
        return dict(value)
    return parsed.model_dump(mode="json", by_alias=True, exclude_none=True)


def _invalid(message: str) -> InvalidError:
    return InvalidError(422, "Invalid", message)


_SHAPES: Final[dict[str, Callable[[Object], Object]]] = {
    names.TASK_DEFINITIONS: _definition,
    names.TASK_RUNS: _run,
    names.TASK_ITERATIONS: _iteration,
    names.TASK_SCHEDULES: _schedule,
    names.TASK_SIGNALS: _signal,
}
_CHANGES: Final[dict[str, Callable[[Object, Object], None]]] = {
    names.TASK_RUNS: _run_changed,
    names.TASK_ITERATIONS: _iteration_changed,
    names.TASK_SIGNALS: _signal_changed,
}
