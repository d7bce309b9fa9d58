"""RBAC next to the code that needs it: modules declare their permissions, and the chart is generated from these.

`tools.generate` writes the rules into the chart.
"""

import importlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

MODULES: Final = (
    "kopf_shell",
    "executor.executor",
    "executor.pods",
    "executor.records",
    "executor.pod_logs",
    "leader_election",
    "controllers.definition_ready",
    "executor.children",
    "executor.schedules",
    "executor.signals",
    "controllers.definition_counts",
    "resources",
    "policy_check",
    "event_recorder",
)


@dataclass(frozen=True, slots=True)
class Permission:
    """The permission of a module for one kind of object."""

    group: str
    resources: tuple[str, ...]
    verbs: tuple[str, ...]
    own_namespace: bool = False
    """Needed in the operator's own namespace only."""
    names: tuple[str, ...] = ()
    """The names of the permitted objects, if restricted; lists and watches must select one of them by metadata.name."""


def rules(*, own_namespace: bool) -> list[dict[str, Any]]:
    """Return the rules of a Role (own namespace) or ClusterRole (all others), merged by resource and names."""
    merged: dict[tuple[str, str, tuple[str, ...]], list[str]] = {}
    for permission in _declared():
        if permission.own_namespace != own_namespace:
            continue
        for resource in permission.resources:
            verbs = merged.setdefault((permission.group, resource, permission.names), [])
            verbs.extend(verb for verb in permission.verbs if verb not in verbs)
    return [
        {"apiGroups": [group], "resources": [resource]}
        | ({"resourceNames": list(names)} if names else {})
        | {"verbs": sorted(verbs)}
        for (group, resource, names), verbs in sorted(merged.items())
    ]


def _declared() -> Iterable[Permission]:
    for module in MODULES:
        yield from importlib.import_module(f"podrelay.operator.{module}").PERMISSIONS
