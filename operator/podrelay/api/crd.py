"""Generates the CustomResourceDefinitions from the pydantic models. `python -m podrelay.api.crd` writes them.

The API server requires structural schemas: no $ref, no anyOf for "or null", a type for every node. Descriptions come
from the models' docstrings; CEL rules and Kubernetes schema extensions come from `json_schema_extra`.
"""

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from podrelay.api import names
from podrelay.api.common import Model
from podrelay.api.task_definition import TaskDefinition
from podrelay.api.task_iteration import TaskIteration
from podrelay.api.task_run import TaskRun
from podrelay.api.task_schedule import TaskSchedule
from podrelay.api.task_signal import TaskSignal

HEADER = "# Generated from operator/podrelay/api by `make generate`; do not edit.\n"
_KEPT_KEYS = (
    "description",
    "type",
    "format",
    "enum",
    "default",
    "minLength",
    "maxLength",
    "pattern",
    "minimum",
    "maximum",
    "minItems",
    "maxItems",
    "maxProperties",
    "required",
)
_MAX_KEYS_OF_OPEN_OBJECTS = 10_000


@dataclass(frozen=True)
class Column:
    """A printer column; a column of priority 1 is shown with -o wide only."""

    name: str
    path: str
    type: str = "string"
    priority: int = 0


@dataclass(frozen=True)
class Kind:
    """The CRD of a resource, except for its schema."""

    model: type[Model]
    plural: str
    short_name: str
    columns: tuple[Column, ...]
    selectable: tuple[str, ...] = ()
    has_status: bool = True


KINDS = (
    Kind(
        TaskDefinition,
        names.TASK_DEFINITIONS,
        "tdef",
        (
            Column("Title", ".spec.title"),
            Column("Ready", '.status.conditions[?(@.type=="Ready")].status'),
            Column("Reason", '.status.conditions[?(@.type=="Ready")].reason', priority=1),
            Column("Active", ".status.activeRuns", "integer", priority=1),
            Column("Queued", ".status.queuedRuns", "integer", priority=1),
            Column("Max", ".spec.maxIterations", "integer"),
            Column("Age", ".metadata.creationTimestamp", "date"),
            Column("Message", '.status.conditions[?(@.type=="Ready")].message', priority=1),
        ),
    ),
    Kind(
        TaskRun,
        names.TASK_RUNS,
        "trun",
        (
            Column("Definition", ".spec.definition"),
            Column("Phase", ".status.phase"),
            Column("Reason", ".status.reason"),
            Column("Iterations", ".status.iterations", "integer"),
            Column("Progress", ".status.progress.message"),
            Column("Age", ".metadata.creationTimestamp", "date"),
            Column("Message", ".status.message", priority=1),
            Column("Pod", ".status.current.podName", priority=1),
            Column("Finished", ".status.finishedAt", "date", priority=1),
        ),
        selectable=(".status.phase", ".spec.definition", ".spec.parent"),
    ),
    Kind(
        TaskIteration,
        names.TASK_ITERATIONS,
        "titer",
        (
            Column("Run", ".runName"),
            Column("Iteration", ".iteration", "integer"),
            Column("Try", ".try", "integer"),
            Column("Answer", ".response.status"),
            Column("Progress", ".progress.message"),
            Column("Age", ".metadata.creationTimestamp", "date"),
            Column("Message", ".response.message", priority=1),
            Column("Error", ".response.error.message", priority=1),
            Column("Node", ".nodeName", priority=1),
            Column("Finished", ".finishedAt", "date", priority=1),
        ),
        selectable=(".runName",),
        has_status=False,
    ),
    Kind(
        TaskSchedule,
        names.TASK_SCHEDULES,
        "tsched",
        (
            Column("Definition", ".spec.run.definition"),
            Column("Ready", '.status.conditions[?(@.type=="Ready")].status'),
            Column("Reason", '.status.conditions[?(@.type=="Ready")].reason'),
            Column("Last", ".status.lastRun.scheduledFor"),
            Column("Next", ".status.nextTimes[0]"),
            Column("Active", ".status.activeRuns", "integer"),
            Column("Age", ".metadata.creationTimestamp", "date"),
            Column("Time zone", ".spec.timeZone", priority=1),
            Column("Overlap", ".spec.overlap", priority=1),
            Column("Started", ".status.started", "integer", priority=1),
            Column("Missed", ".status.missed", "integer", priority=1),
            Column("Message", '.status.conditions[?(@.type=="Ready")].message', priority=1),
        ),
        selectable=(".spec.run.definition",),
    ),
    Kind(
        TaskSignal,
        names.TASK_SIGNALS,
        "tsig",
        (
            Column("Run", ".spec.taskRun"),
            Column("Signal", ".spec.signal"),
            Column("Decision", ".spec.decision"),
            Column("Phase", ".status.phase"),
            Column("Reason", ".status.reason"),
            Column("From", r".metadata.annotations.podrelay\.dev/created-by"),
            Column("Age", ".metadata.creationTimestamp", "date"),
            Column("Iteration", ".status.iteration", "integer", priority=1),
            Column("Message", ".status.message", priority=1),
        ),
        selectable=(".spec.taskRun", ".spec.signal", ".status.phase"),
    ),
)


def custom_resource_definitions() -> dict[str, dict[str, Any]]:
    """Return the CRDs by file name."""
    return {f"{names.GROUP}_{kind.plural}.yaml": _definition(kind) for kind in KINDS}


def render(crd: dict[str, Any]) -> str:
    """Return a CRD as YAML; the first line says that the file is generated."""
    return HEADER + yaml.safe_dump(crd, sort_keys=False, width=120, allow_unicode=True)


def write(directories: Iterable[Path]) -> None:
    """Write every CRD into each of `directories`."""
    for directory in directories:
        directory.mkdir(parents=True, exist_ok=True)
        for name, crd in custom_resource_definitions().items():
            (directory / name).write_text(render(crd), encoding="utf-8")


def _definition(kind: Kind) -> dict[str, Any]:
    name = kind.model.__name__
    version: dict[str, Any] = {
        "name": names.VERSION,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": _root_schema(kind.model)},
        "additionalPrinterColumns": [_column(column) for column in kind.columns],
    }
    if kind.selectable:
        version["selectableFields"] = [{"jsonPath": path} for path in kind.selectable]
    if kind.has_status:
        version["subresources"] = {"status": {}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{kind.plural}.{names.GROUP}"},
        "spec": {
            "group": names.GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": name,
                "listKind": f"{name}List",
                "plural": kind.plural,
                "singular": name.lower(),
                "shortNames": [kind.short_name],
                # Never `all`: `kubectl get all` would list the history of every task.
                "categories": ["podrelay"],
            },
            "versions": [version],
        },
    }


def _column(column: Column) -> dict[str, Any]:
    result: dict[str, Any] = {"name": column.name, "type": column.type, "jsonPath": column.path}
    if column.priority:
        result["priority"] = column.priority
    return result


def _root_schema(model: type[Model]) -> dict[str, Any]:
    raw = model.model_json_schema(by_alias=True)
    schema = _structural(raw, raw.get("$defs", {}))
    own = schema["properties"]
    if "status" in own:
        own["status"]["default"] = dict(model.born)
    schema["properties"] = {
        "apiVersion": {"type": "string"},
        "kind": {"type": "string"},
        "metadata": {"type": "object"},
        **own,
    }
    return schema


def _structural(node: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    node = _without_null(_resolved(node, definitions), definitions)
    result = {key: node[key] for key in _KEPT_KEYS if key in node and node[key] is not None}
    if "description" in result:
        result["description"] = " ".join(result["description"].split())
    if "const" in node:
        result |= {"type": "string", "enum": [node["const"]]}
    if "properties" in node:
        result["properties"] = {name: _structural(child, definitions) for name, child in node["properties"].items()}
    if isinstance(node.get("additionalProperties"), dict):
        result["additionalProperties"] = _structural(node["additionalProperties"], definitions)
    if "items" in node:
        result["items"] = _structural(node["items"], definitions)
    result |= {key: value for key, value in node.items() if key.startswith("x-kubernetes-")}
    if result.get("x-kubernetes-preserve-unknown-fields"):
        result["maxProperties"] = _MAX_KEYS_OF_OPEN_OBJECTS
    return result


def _resolved(node: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    if "$ref" not in node:
        return node
    target = definitions[node["$ref"].rsplit("/", 1)[1]]
    # The docstring and default of the field that uses a model are more specific than those of the model.
    return {**target, **{key: value for key, value in node.items() if key != "$ref"}}


def _without_null(node: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """Unwrap "X or null": in Kubernetes an optional field without a value is absent."""
    if "anyOf" not in node:
        return node
    (branch,) = (branch for branch in node["anyOf"] if branch.get("type") != "null")
    outer = {key: value for key, value in node.items() if key != "anyOf"}
    return {**_resolved(branch, definitions), **outer}


if __name__ == "__main__":
    write(map(Path, sys.argv[1:]))
