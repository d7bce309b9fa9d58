"""RBAC next to the code that needs it: modules declare what they ask of the API server, the chart is made from that.

`python -m podrelay.reconciler.permissions FOLDER` writes `operator-role.yaml` (a ClusterRole's rules) and
`operator-lease-role.yaml` (rules for the operator's own namespace).
"""

import importlib
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

MODULES: Final = (
    "app",
    "executor",
    "consoles",
    "lease",
    "readiness",
    "relatives",
    "counts",
    "resources",
    "policies",
    "events",
)
HEADER: Final = "# Generated from the PERMISSIONS of operator/podrelay/reconciler by `make generate`; do not edit.\n"


@dataclass(frozen=True, slots=True)
class Permission:
    """What a module asks of one kind of object."""

    group: str
    resources: tuple[str, ...]
    verbs: tuple[str, ...]
    own_namespace: bool = False
    """Needed in the operator's own namespace only."""
    names: tuple[str, ...] = ()
    """Of the only objects that it is about; lists and watches have to select one of them by metadata.name."""


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
        yield from importlib.import_module(f"podrelay.reconciler.{module}").PERMISSIONS


def write(folder: Path) -> None:
    """Write both files."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, own_namespace in (("operator-role.yaml", False), ("operator-lease-role.yaml", True)):
        text = HEADER + yaml.safe_dump(rules(own_namespace=own_namespace), sort_keys=False)
        (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
