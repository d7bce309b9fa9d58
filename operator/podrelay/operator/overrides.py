"""Applies spec.overrides of a run to its definition. Pure functions over values.

Everything that plans or builds for a run sees the definition with its overrides, so there is one place where they are
applied (`applied`, by the cache, for each view). They reach nothing else than the fields below: no image, command,
volume or service account, and only the container that does the work.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from podrelay.api import names, override_rules
from podrelay.operator.objects.definitions import TaskDefinition
from podrelay.operator.objects.overrides import Overrides, ResourceOverrides, Variable
from podrelay.operator.objects.runs import TaskRun


def refusal(run: TaskRun, definition: TaskDefinition) -> str | None:
    """Return why the definition does not allow the overrides of the run; None if it does."""
    if run.spec.overrides is None:
        return None
    given = msgspec.to_builtins(run.spec.overrides)
    return override_rules.refusal(definition.metadata.name, given, definition.spec.allow_overrides)


def applied(run: TaskRun, definition: TaskDefinition) -> TaskDefinition:
    """Return the definition as it applies to the run; `definition` itself stays as it is.

    If it does not allow all overrides, none of them reaches a pod: only hook pods are created then. The number of
    iterations and retries still applies, so that a run waits, and does not fail, while its definition is corrected.
    """
    overrides = run.spec.overrides
    if overrides is None:
        return definition
    if refusal(run, definition) is not None:
        overrides = Overrides(retry=overrides.retry, max_iterations=overrides.max_iterations)
    changes: dict[str, Any] = {"template": _template(definition.spec.template, overrides)}
    if overrides.timeouts is not None:
        changes |= _given(overrides.timeouts)
    if definition.spec.reporting != names.REPORTING_API:
        changes.pop("heartbeat_timeout_seconds", None)  # such a pod sends no heartbeats
    if overrides.retry is not None:
        changes["retry"] = msgspec.structs.replace(definition.spec.retry, **_given(overrides.retry))
    if overrides.max_iterations is not None:
        changes["max_iterations"] = overrides.max_iterations
    return msgspec.structs.replace(definition, spec=msgspec.structs.replace(definition.spec, **changes))


def _template(template: dict[str, Any], overrides: Overrides) -> dict[str, Any]:
    """Return the template with overrides; what is not valid in it stays, and is reported when a pod is built."""
    pod = template.get("spec")
    if not isinstance(pod, dict):
        return template
    pod = dict(pod)
    if overrides.node_selector is not None:
        pod["nodeSelector"] = _merged(pod.get("nodeSelector"), overrides.node_selector)
    if overrides.tolerations is not None:
        pod["tolerations"] = [*_list(pod.get("tolerations")), *overrides.tolerations]
    if overrides.priority_class_name is not None:
        pod["priorityClassName"] = overrides.priority_class_name
        for former in ("priority", "preemptionPolicy"):  # they belong to the former class
            pod.pop(former, None)
    at = task_container_index(pod.get("containers"))
    if at is not None and (overrides.resources is not None or overrides.env is not None):
        containers = list(pod["containers"])
        containers[at] = _container(containers[at], overrides)
        pod["containers"] = containers
    return {**template, "spec": pod}


def task_container_index(containers: Any) -> int | None:
    """Return which container does the work: the one named `task`, or the only one; None if there is none."""
    if not isinstance(containers, list) or not all(isinstance(item, dict) for item in containers):
        return None
    named = [at for at, item in enumerate(containers) if item.get("name") == names.TASK_CONTAINER]
    if named:
        return named[0]
    return 0 if len(containers) == 1 else None


def _container(container: dict[str, Any], overrides: Overrides) -> dict[str, Any]:
    changed = dict(container)
    if overrides.resources is not None:
        changed["resources"] = _resources(container.get("resources"), overrides.resources)
    if overrides.env is not None:
        changed["env"] = _environment(_list(container.get("env")), overrides.env)
    return changed


def _resources(given: Any, overrides: ResourceOverrides) -> dict[str, Any]:
    own = dict(given) if isinstance(given, dict) else {}
    for field, amounts in (("requests", overrides.requests), ("limits", overrides.limits)):
        if amounts is not None:
            own[field] = _merged(own.get(field), amounts)
    return own


def _environment(given: list[Any], variables: Iterable[Variable]) -> list[Any]:
    """Merge variables by name; each keeps its place, because later ones may refer to it."""
    wanted = {
        # Literally: with $(NAME), a run could copy a secret variable of the template into one that the task prints.
        variable.name: {"name": variable.name, "value": variable.value.replace("$", "$$")}
        for variable in variables
        if not variable.name.startswith(override_rules.RESERVED)
    }
    known = {item.get("name") for item in given if isinstance(item, dict)}
    merged = [wanted.get(str(item.get("name")), item) if isinstance(item, dict) else item for item in given]
    return [*merged, *(item for name, item in wanted.items() if name not in known)]


def _merged(given: Any, overrides: Mapping[str, Any]) -> dict[str, Any]:
    return {**(given if isinstance(given, dict) else {}), **overrides}


def _list(given: Any) -> list[Any]:
    return list(given) if isinstance(given, list) else []


def _given(struct: msgspec.Struct) -> dict[str, Any]:
    """Return the fields of a struct that are set, by their names in Python."""
    return {name: value for name, value in msgspec.structs.asdict(struct).items() if value is not None}
