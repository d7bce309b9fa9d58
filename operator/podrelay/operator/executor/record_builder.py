"""Builds what the operator writes into the record of a pod that could not write it itself. Pure, like `pod_builder`."""

from datetime import datetime
from typing import Any

import msgspec

from podrelay.api import limits, names
from podrelay.operator.executor import pod_builder
from podrelay.operator.objects.answers import StorableResponse
from podrelay.operator.objects.runs import TaskRun
from podrelay.operator.plan import ClaimRecord, WriteRecord


def patch(
    record: dict[str, Any], action: WriteRecord, now: datetime, printed: dict[str, Any] | None = None
) -> list[dict[str, Any]]:
    """Return the JSON patch that adds the response of `action` to a record; refused with 409 if it has changed.

    `printed`, the log of the pod, replaces the log that the pod has stored itself, because it is more complete.
    """
    metadata, response = record["metadata"], msgspec.to_builtins(action.response)
    output = (record.get("checkpoint") or {}).get("output")
    if output is not None:
        response.setdefault("output", output)
    steps: list[dict[str, Any]] = [
        {"op": "replace", "path": "/metadata/resourceVersion", "value": metadata["resourceVersion"]},
        {"op": "add", "path": "/response", "value": response},
        {"op": "add", "path": "/finishedAt", "value": _finished_at(action, now)},
    ]
    if printed is not None and ("text" in printed or "console" not in record):
        steps.append({"op": "add", "path": "/console", "value": printed})
    if action.cause is not None:
        annotations = {**(metadata.get("annotations") or {}), names.ANNOTATION_CAUSE: action.cause}
        steps.append({"op": "add", "path": "/metadata/annotations", "value": annotations})
    if response["status"] != "error" and record.get("checkpoint") is not None:
        # Only a failed attempt is repeated from its checkpoint.
        steps.append({"op": "remove", "path": "/checkpoint"})
    return steps


def new(
    run: TaskRun,
    action: WriteRecord,
    response: StorableResponse,
    now: datetime,
    printed: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the complete record of a pod that has none."""
    record = claim(run, action, now)
    record["response"] = msgspec.to_builtins(response)
    if action.cause is not None:
        record["metadata"]["annotations"] = {names.ANNOTATION_CAUSE: action.cause}
    if printed is not None:
        record["console"] = printed
    return record


def claim(run: TaskRun, action: WriteRecord | ClaimRecord, now: datetime) -> dict[str, Any]:
    """Return the record of a pod that has none, without a response."""
    target, pod = action.target, action.pod
    record: dict[str, Any] = {
        "apiVersion": names.API_VERSION,
        "kind": "TaskIteration",
        "metadata": {
            "name": target.name,
            "namespace": run.metadata.namespace,
            "labels": pod_builder.labels(run, target),
            "ownerReferences": [pod_builder.owner_reference(run, controller=False)],
        },
        "runName": run.metadata.name,
        "iteration": target.iteration,
        "try": target.try_,
        "podName": target.name,
        "podUID": action.pod_uid,
        "finishedAt": _finished_at(action, now),
    }
    if pod is not None and pod.spec.node_name:
        record["nodeName"] = pod.spec.node_name
    if pod is not None and pod.image:
        record["image"] = limits.cut(pod.image, limits.IMAGE_LENGTH)
    terminated = pod.task.terminated if pod is not None else None
    if terminated is not None and terminated.started_at is not None:
        record["startedAt"] = terminated.started_at
    return record


def _finished_at(action: WriteRecord | ClaimRecord, now: datetime) -> datetime:
    terminated = action.pod.task.terminated if action.pod is not None else None
    return (terminated.finished_at if terminated else None) or now
