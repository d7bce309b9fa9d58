"""Manifests as users and pods write them: small and valid, with the changes that a test needs."""

import re
from typing import Any

API_VERSION = "podrelay.dev/v1alpha1"

# Full names, because other projects have resources with the same plural.
TASK_DEFINITIONS = "taskdefinitions.podrelay.dev"
TASK_RUNS = "taskruns.podrelay.dev"
TASK_ITERATIONS = "taskiterations.podrelay.dev"

Manifest = dict[str, Any]


def task_definition(name: str = "count-words", *, metadata: Manifest | None = None, **spec: Any) -> Manifest:
    """Return a TaskDefinition; its id is derived from its name."""
    template = {"spec": {"containers": [{"name": "task", "image": "registry.example/words:1"}]}}
    return {
        "apiVersion": API_VERSION,
        "kind": "TaskDefinition",
        "metadata": {"name": name} | (metadata or {}),
        "spec": {"id": camel_case(name), "title": "Count words", "template": template} | spec,
    }


def task_run(
    name: str = "words", definition: str = "count-words", *, metadata: Manifest | None = None, **spec: Any
) -> Manifest:
    """Return a TaskRun."""
    return {
        "apiVersion": API_VERSION,
        "kind": "TaskRun",
        "metadata": {"name": name} | (metadata or {}),
        "spec": {"definition": definition} | spec,
    }


def record(
    pod: str = "words-i1", *, pod_uid: str = "uid-of-the-pod", owner: Manifest | None = None, **fields: Any
) -> Manifest:
    """Return a TaskIteration as the pod with this name writes it; `owner` is the TaskRun from the API server."""
    run = pod.rpartition("-")[0]
    metadata: Manifest = {"name": pod, "labels": {"podrelay.dev/run": run}}
    if owner is not None:
        metadata["ownerReferences"] = [owner_reference(owner)]
    ordinal = re.search(r"-i(\d+)(?:t(\d+))?$", pod)
    return {
        "apiVersion": API_VERSION,
        "kind": "TaskIteration",
        "metadata": metadata,
        "runName": run,
        "iteration": int(ordinal[1]) if ordinal else 1,
        "try": int(ordinal[2] or 1) if ordinal else 1,
        "podName": pod,
        "podUID": pod_uid,
    } | fields


def owner_reference(owner: Manifest, **fields: Any) -> Manifest:
    """Return a reference to an object that the API server returned."""
    return {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
    } | fields


def camel_case(name: str) -> str:
    """Return the id of a definition: count-words becomes countWords."""
    first, *others = name.split("-")
    return first + "".join(word.capitalize() for word in others)
