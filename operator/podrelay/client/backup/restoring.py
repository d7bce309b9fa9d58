"""Returns the objects to create for exported ones, so that a run continues where it was and starts nothing. Pure."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from podrelay.api import limits, names
from podrelay.api.phases import FINISHED
from podrelay.api.task_run import TaskRunStatus
from podrelay.api.task_schedule import TaskScheduleStatus
from podrelay.client.backup.spool import Consumer
from podrelay.client.resources import Resource

_NOT_CALLED: Final = (
    "not called here: the run was exported before the hook had an outcome; the original cluster may call it"
)
_INTERRUPTED: Final = "exported while its pod was running; the iteration runs again"
_PENDING: Final = "Pending"
_IMPORTED_SCHEDULE: Final = (
    "imported as it was at {}; make sure that its original cluster no longer starts its runs, then resume it"
)
_SCHEDULE_STATUS_FIELDS: Final = tuple(field.alias or name for name, field in TaskScheduleStatus.model_fields.items())
_STATUS_FIELDS: Final = tuple(field.alias or name for name, field in TaskRunStatus.model_fields.items())


def is_finished(run: Resource) -> bool:
    """Return whether a run had finished when it was exported."""
    return (run.get("status") or {}).get("phase") in FINISHED


def origin(exported: Resource) -> str:
    """Return the name and UID that a run or schedule had before it was first restored."""
    metadata = exported["metadata"]
    noted: str | None = (metadata.get("annotations") or {}).get(names.ANNOTATION_ORIGIN)
    if noted is not None and noted.startswith(f"{metadata['name']}/"):
        return noted
    return names.origin(metadata["name"], metadata.get("uid", ""))


def definition(exported: Resource, namespace: str) -> Resource:
    """Return the TaskDefinition to create."""
    return {**_head(exported, namespace), "spec": exported["spec"]}


def run(exported: Resource, namespace: str, parent_uid: str | None, *, suspend: bool) -> Resource:
    """Return the TaskRun to create; it does nothing until the patch of `complete` is applied.

    Args:
        exported: the exported run.
        namespace: where it is created.
        parent_uid: current UID of the run that spec.parent names; None: there is none.
        suspend: keep it from continuing by itself, if it had not finished.
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
        _keep_start_time(exported, spec)
    return {**created, "spec": spec}


def complete(time: str) -> Resource:
    """Return the patch that lets the operator reconcile a completely restored run or schedule.

    `time` is that of the export.
    """
    return {"metadata": {"annotations": {names.ANNOTATION_IMPORTED: time}}}


def record(exported: Resource, namespace: str, run_uid: str) -> Resource:
    """Return the TaskIteration to create, owned by the run with the UID `run_uid`."""
    body = {key: value for key, value in exported.items() if key not in {"apiVersion", "kind", "metadata"}}
    created = _head(exported, namespace)
    owner = {"apiVersion": names.API_VERSION, "kind": "TaskRun", "name": exported["runName"], "uid": run_uid}
    created["metadata"]["ownerReferences"] = [owner]
    return {**created, **body}


def signal(exported: Resource, namespace: str, run_uid: str | None, restorer: str) -> Resource:
    """Return the TaskSignal to create.

    Args:
        exported: the exported signal.
        namespace: where it is created.
        run_uid: current UID of its run; None if the run does not exist yet.
        restorer: name of the user who restores it, which the API server compares with the user of the request.
    """
    created, spec = _head(exported, namespace), exported["spec"]
    annotations = created["metadata"].setdefault("annotations", {})
    annotations.pop(names.ANNOTATION_LAST_APPLIED, None)
    annotations.setdefault(names.ANNOTATION_SENT_AT, exported["metadata"].get("creationTimestamp", ""))
    if not annotations[names.ANNOTATION_SENT_AT]:
        del annotations[names.ANNOTATION_SENT_AT]
    annotations[names.ANNOTATION_RESTORED_BY] = restorer
    if run_uid is not None:
        owner = {"apiVersion": names.API_VERSION, "kind": "TaskRun", "name": spec["taskRun"], "uid": run_uid}
        created["metadata"]["ownerReferences"] = [owner]
    return {**created, "spec": spec}


def signal_status(exported: Resource, consumer: Consumer | None, time: str) -> Resource | None:
    """Return what became of a signal; None if it still waits.

    Args:
        exported: the exported signal.
        consumer: the answer that has consumed it; None if no record in the backup does. The answer counts, also if the
            signal was not marked yet at the time of the export.
        time: when a signal that was not marked yet is considered to be consumed.
    """
    before: Resource = exported.get("status") or {}
    if before.get("phase", _PENDING) != _PENDING:
        return before
    if consumer is None:
        return None
    processed = {} if time[:1].isalpha() else {"processedAt": time}
    return {"phase": "Consumed", "record": consumer.record, "iteration": consumer.iteration, **processed}


def schedule(exported: Resource, namespace: str, time: str, *, suspend: bool) -> Resource:
    """Return the TaskSchedule to create; it starts no runs until the patch of `complete` is applied.

    Args:
        exported: the exported schedule.
        namespace: where it is created.
        time: when it was exported.
        suspend: keep it from starting runs until a user resumes it: another cluster may still do so.
    """
    created, spec = _head(exported, namespace), dict(exported["spec"])
    created["metadata"]["annotations"] = {
        **created["metadata"].get("annotations", {}),
        names.ANNOTATION_IMPORTED: names.IMPORT_INCOMPLETE,
        names.ANNOTATION_ORIGIN: origin(exported),
    }
    created["metadata"]["annotations"].pop(names.ANNOTATION_LAST_APPLIED, None)
    if suspend and not spec.get("suspend"):
        spec |= {"suspend": True, "suspendNote": _IMPORTED_SCHEDULE.format(time)}
        spec.pop("suspendedBy", None)
    return {**created, "spec": spec}


def schedule_status(exported: Resource, generation: int) -> Resource:
    """Return the patch that restores the status of a created schedule, which says which times were decided.

    Empty if it had none.
    """
    before: Resource = dict(exported.get("status") or {})
    if "processedUntil" not in before:
        return {}
    before["observedGeneration"] = generation
    if "conditions" in before:
        before["conditions"] = [{**item, "observedGeneration": generation} for item in before["conditions"]]
    return {**dict.fromkeys(_SCHEDULE_STATUS_FIELDS), **before}


def status(exported: Resource, generation: int, *, is_answered: bool) -> Resource:
    """Return the patch that restores the status of a created run; empty if it had none.

    Args:
        exported: the exported run.
        generation: current metadata.generation of the run.
        is_answered: whether the record of its current pod has an answer, which the operator must still apply.
    """
    before: Resource = dict(exported.get("status") or {})
    if "phase" not in before:
        return {}
    if is_finished(exported):
        _record_missed_hooks(before)
    else:
        _record_lost_pod(before, is_answered=is_answered)
    before["observedGeneration"] = generation
    if "conditions" in before:
        before["conditions"] = [{**item, "observedGeneration": generation} for item in before["conditions"]]
    return {**dict.fromkeys(_STATUS_FIELDS), **before}


def _head(exported: Resource, namespace: str) -> Resource:
    """Return name, labels and annotations of an object, without the metadata that belongs to its original cluster."""
    before = exported["metadata"]
    metadata: Resource = {"name": before["name"], "namespace": namespace}
    for field in ("labels", "annotations"):
        if before.get(field):
            metadata[field] = dict(before[field])
    return {"apiVersion": exported["apiVersion"], "kind": exported["kind"], "metadata": metadata}


def _marks(exported: Resource) -> dict[str, str]:
    """Return the annotations that the operator writes a minute after a run has started or finished."""
    before = exported.get("status") or {}
    marks = {}
    if is_finished(exported):
        marks[names.ANNOTATION_ENDED] = before["phase"]
    elif before.get("startedAt"):
        marks[names.ANNOTATION_BEGAN] = before["startedAt"]
    return marks


def _keep_start_time(exported: Resource, spec: dict[str, Any]) -> None:
    """Replace a delay, which counts from the creation, by the time of the start."""
    delay, created = spec.pop("delaySeconds", None), exported["metadata"].get("creationTimestamp")
    if delay is not None and created is not None:
        start = datetime.fromisoformat(created) + timedelta(seconds=delay)
        spec["startAt"] = f"{start.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def _record_missed_hooks(before: Resource) -> None:
    """Record hooks without an outcome as not called: the original cluster may have called them."""
    known = {outcome["name"] for outcome in before.get("hooks", ())}
    missed = [hook for hook in before.get("hooksDue", ()) if hook not in known]
    if missed:
        failed = [{"name": hook, "outcome": "Failed", "message": _NOT_CALLED} for hook in missed]
        before["hooks"] = [*before.get("hooks", ()), *failed]


def _record_lost_pod(before: Resource, *, is_answered: bool) -> None:
    """Record that the pod of an unfinished run is lost: its iteration runs again, as after a drained node."""
    current = before.pop("current", None)
    before.pop("queuePosition", None)
    if current is None or is_answered:
        return
    due = names.iteration_of(before.get("lastRecord", "")) + 1
    attempt = 1 + before.get("attempts", 0) + before.get("disruptions", 0)
    if (current["iteration"], current["try"]) != (due, attempt):
        return  # it has ended, and its answer has been applied
    before["disruptions"] = before.get("disruptions", 0) + 1
    lost = {
        "iteration": due,
        "try": attempt,
        "podName": current["podName"],
        "answer": "disrupted",
        "message": _INTERRUPTED,
    }
    before["recentIterations"] = [lost, *before.get("recentIterations", ())][: limits.RECENT_ITERATIONS]
