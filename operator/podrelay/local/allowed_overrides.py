"""Admission of spec.overrides without a cluster: what the policies podrelay-overrides do in one."""

from collections.abc import Callable
from typing import Any

from podrelay.api import names, override_rules
from podrelay.kube.errors import ApiError, InvalidError

Object = dict[str, Any]


def check(plural: str, before: Object | None, after: Object, read_definition: Callable[[str, str], Object]) -> None:
    """Refuse a new run, or a schedule whose runs have changed, if its definition does not allow its overrides.

    Args:
        plural: the kind of object; only runs and schedules are checked.
        before: the stored object; None for a new one.
        after: the new object, valid by its schema.
        read_definition: returns the TaskDefinition in a namespace with a name, or raises an ApiError.

    Raises:
        InvalidError: an override is not allowed.
    """
    run = _run_in(plural, after)
    if run is None or run == (before and _run_in(plural, before)) or not run.get("overrides"):
        return
    if plural == names.TASK_RUNS and before is not None:
        return
    try:
        definition = read_definition(after["metadata"]["namespace"], run["definition"])
    except ApiError:
        return  # the operator checks it when there is a definition
    allowed = definition["spec"].get("allowOverrides") or ()
    refusal = override_rules.refusal(run["definition"], run["overrides"], allowed)
    if refusal is not None:
        raise InvalidError(422, "Invalid", refusal)


def _run_in(plural: str, stored: Object) -> Object | None:
    if plural == names.TASK_RUNS:
        spec: Object = stored["spec"]
        return spec
    if plural == names.TASK_SCHEDULES:
        run: Object = stored["spec"]["run"]
        return run
    return None
