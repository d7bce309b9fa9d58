"""Manifests as users and pods write them: small, valid, with whatever a test wants to be different."""

import re
from typing import Any

API_VERSION = "podrelay.dev/v1alpha1"

# By full name: other projects have resources of the same plural.
TASK_DEFINITIONS = "taskdefinitions.podrelay.dev"
TASK_RUNS = "taskruns.podrelay.dev"
TASK_ITERATIONS = "taskiterations.podrelay.dev"

Manifest = dict[str, Any]


def task_definition(name: str = "count-words", *, metadata: Manifest | None = None, **spec: Any) -> Manifest:
    """A TaskDefinition; its id is made from its name."""
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
    """A TaskRun."""
    return {
        "apiVersion": API_VERSION,
        "kind": "TaskRun",
        "metadata": {"name": name} | (metadata or {}),
        "spec": {"definition": definition} | spec,
    }


def record(
    pod: str = "words-i1", *, pod_uid: str = "uid-of-the-pod", owner: Manifest | None = None, **fields: Any
) -> Manifest:
    """A TaskIteration as the pod of this name writes it; `owner` is the TaskRun, as the API server returned it."""
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
    """A reference to an object that the API server returned."""
    return {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
    } | fields


def camel_case(name: str) -> str:
    """The id of a definition: count-words becomes countWords."""
    first, *others = name.split("-")
    return first + "".join(word.capitalize() for word in others)
