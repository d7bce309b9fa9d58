"""What is to be created of an exported object, so that it goes on where it was, and starts nothing. Pure."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from podrelay.api import limits, names
from podrelay.api.phases import FINISHED
from podrelay.api.task_run import TaskRunStatus
from podrelay.client.resources import Resource

_NOT_CALLED: Final = (
    "not called here: the run was exported before it had an outcome; the cluster it comes from may call it"
)
_INTERRUPTED: Final = "exported while it worked; it is done again"
_STATUS_FIELDS: Final = tuple(field.alias or name for name, field in TaskRunStatus.model_fields.items())


def is_finished(run: Resource) -> bool:
    """Tell whether a run had ended when it was exported."""
    return (run.get("status") or {}).get("phase") in FINISHED


def origin(run: Resource) -> str:
    """Return name and UID of the run as it was before the first of all restores."""
    metadata = run["metadata"]
    told: str | None = (metadata.get("annotations") or {}).get(names.ANNOTATION_ORIGIN)
    if told is not None and told.startswith(f"{metadata['name']}/"):
        return told
    return names.origin(metadata["name"], metadata.get("uid", ""))


def definition(exported: Resource, namespace: str) -> Resource:
    """Return the TaskDefinition to create."""
    return {**_head(exported, namespace), "spec": exported["spec"]}


def run(exported: Resource, namespace: str, parent_uid: str | None, *, suspend: bool) -> Resource:
    """Return the TaskRun to create; it does nothing until `complete` is laid over it.

    Args:
        exported: as it was.
        namespace: where it is created.
        parent_uid: of the run that spec.parent names, as it is there; None: there is none.
        suspend: keep it from going on by itself, if it had not ended.
    """
    created, spec = _head(exported, namespace), dict(exported["spec"])
    created["metadata"]["annotations"] = {
        **created["metadata"].get("annotations", {}),
        names.ANNOTATION_IMPORTED: names.IMPORT_INCOMPLETE,
        names.ANNOTATION_ORIGIN: origin(exported),
        **_marks(exported),
    }
    created["metadata"]["annotations"].pop(names.ANNOTATION_LAST_APPLIED, None)
    if parent_uid is not None:
        owner = {"apiVersion": names.API_VERSION, "kind": "TaskRun", "name": spec["parent"], "uid": parent_uid}
        created["metadata"]["ownerReferences"] = [owner]
    if not is_finished(exported):
        if suspend:
            spec["suspend"] = True
        _keep_its_start(exported, spec)
    return {**created, "spec": spec}


def complete(time: str) -> Resource:
    """Return what lets a run go its way once everything of it is there. `time` is when it was exported."""
    return {"metadata": {"annotations": {names.ANNOTATION_IMPORTED: time}}}


def record(exported: Resource, namespace: str, run_uid: str) -> Resource:
    """Return the TaskIteration to create, for the run that has `run_uid` now."""
    body = {key: value for key, value in exported.items() if key not in {"apiVersion", "kind", "metadata"}}
    created = _head(exported, namespace)
    owner = {"apiVersion": names.API_VERSION, "kind": "TaskRun", "name": exported["runName"], "uid": run_uid}
    created["metadata"]["ownerReferences"] = [owner]
    return {**created, **body}


def status(exported: Resource, generation: int, *, is_answered: bool) -> Resource:
    """Return the patch that makes the status of a created run what it was; empty if it had none.

    Args:
        exported: the run as it was.
        generation: metadata.generation of the run as it is now.
        is_answered: whether the record of its current pod holds an answer; if so, that one is still to be applied.
    """
    before: Resource = dict(exported.get("status") or {})
    if "phase" not in before:
        return {}
    if is_finished(exported):
        _close_hooks(before)
    else:
        _take_pod_away(before, is_answered=is_answered)
    before["observedGeneration"] = generation
    if "conditions" in before:
        before["conditions"] = [{**item, "observedGeneration": generation} for item in before["conditions"]]
    return {**dict.fromkeys(_STATUS_FIELDS), **before}


def _head(exported: Resource, namespace: str) -> Resource:
    """Return identity and marks of an object, without what belongs to the cluster that it comes from."""
    before = exported["metadata"]
    metadata: Resource = {"name": before["name"], "namespace": namespace}
    for field in ("labels", "annotations"):
        if before.get(field):
            metadata[field] = dict(before[field])
    return {"apiVersion": exported["apiVersion"], "kind": exported["kind"], "metadata": metadata}


def _marks(exported: Resource) -> dict[str, str]:
    """Return the annotations that the operator would write of a run that was there for a minute."""
    before = exported.get("status") or {}
    marks = {}
    if is_finished(exported):
        marks[names.ANNOTATION_ENDED] = before["phase"]
    elif before.get("startedAt"):
        marks[names.ANNOTATION_BEGAN] = before["startedAt"]
    return marks


def _keep_its_start(exported: Resource, spec: dict[str, Any]) -> None:
    """Make of a delay, which counts from the creation, the time that it led to."""
    delay, created = spec.pop("delaySeconds", None), exported["metadata"].get("creationTimestamp")
    if delay is not None and created is not None:
        start = datetime.fromisoformat(created) + timedelta(seconds=delay)
        spec["startAt"] = f"{start.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def _close_hooks(before: Resource) -> None:
    """Note of hooks that were still to come that they do not: where the run comes from, they may have been called."""
    told = {outcome["name"] for outcome in before.get("hooks", ())}
    missed = [hook for hook in before.get("hooksDue", ()) if hook not in told]
    if missed:
        failed = [{"name": hook, "outcome": "Failed", "message": _NOT_CALLED} for hook in missed]
        before["hooks"] = [*before.get("hooks", ()), *failed]


def _take_pod_away(before: Resource, *, is_answered: bool) -> None:
    """Write down that the pod of a half-way run is not here: its iteration is done again, as after a drain."""
    current = before.pop("current", None)
    before.pop("queuePosition", None)
    if current is None or is_answered:
        return
    due = names.iteration_of(before.get("lastRecord", "")) + 1
    attempt = 1 + before.get("attempts", 0) + before.get("disruptions", 0)
    if (current["iteration"], current["try"]) != (due, attempt):
        return  # it has ended, and what it answered is applied
    before["disruptions"] = before.get("disruptions", 0) + 1
    lost = {
        "iteration": due,
        "try": attempt,
        "podName": current["podName"],
        "answer": "disrupted",
        "message": _INTERRUPTED,
    }
    before["recentIterations"] = [lost, *before.get("recentIterations", ())][: limits.RECENT_ITERATIONS]
