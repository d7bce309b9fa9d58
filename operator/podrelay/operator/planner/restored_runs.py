"""Runs that came out of a backup: what is left of their former life, and that nobody goes on with them unasked.

The cluster that a run comes from may still run it, or have run it. So nothing here starts a pod: a run that had ended
stays ended, and one that was half-way waits until somebody says so (`podrelay resume`). Pure, as the planner.

Which runs these are is told by what survives: the annotations that the operator leaves on runs, those of `podrelay
import`, what `kubectl apply` keeps of what it was given, and the label that Velero gives to what it restores.
"""

from datetime import timedelta
from typing import Final

from podrelay.api import names
from podrelay.api.phases import FINISHED
from podrelay.operator.objects import TaskError, TaskRun, TaskRunStatus
from podrelay.operator.plan import AdoptRecord, Plan
from podrelay.operator.planner import statuses
from podrelay.operator.view import View

RESTORED: Final = "Restored"
IMPORTED: Final = "Imported"
_MAKE_SURE: Final = "Make sure that the cluster it comes from does not run it any more"
_STATUS_COMES: Final = timedelta(seconds=30)
"""Velero writes the status of what it restores, if it is told to, in a second request."""


def is_incomplete(run: TaskRun) -> bool:
    """Tell whether `podrelay import` has not restored all of a run yet: then nobody touches it."""
    return run.metadata.annotations.imported == names.IMPORT_INCOMPLETE


def held(view: View) -> Plan | None:
    """Return what an unfinished run shows that is not to go on by itself; None if it may."""
    run = view.run
    imported, velero = run.metadata.annotations.imported, run.metadata.labels.velero
    if is_incomplete(run):
        message = "podrelay import has not finished with this run; import the same file again, or delete the run"
        return _hold(view, IMPORTED, message)
    if run.spec.abort is not None:
        return None
    if imported is not None and run.spec.suspend:
        message = (
            f"imported as it was at {imported}, {_place(run.status)}. {_MAKE_SURE}; then podrelay resume "
            f"{run.metadata.name}, or set spec.suspend to false"
        )
        return _hold(view, IMPORTED, message)
    if velero is None:
        return None
    if _has_begun(run.status):
        message = (
            f"restored by Velero, {_place(run.status)}. {_MAKE_SURE}; then podrelay resume {run.metadata.name}, or "
            f"remove its label {names.LABEL_VELERO_RESTORE}"
        )
        return _hold(view, RESTORED, message)
    # Its records may be there, and would be taken for answers that nobody has applied yet, hooks and all.
    return without_status(view, run.status)


def without_status(view: View, status: TaskRunStatus) -> Plan | None:
    """Return what becomes of a run that tells more than its status: it came out of a backup without it."""
    told, velero = view.run.metadata.annotations, view.run.metadata.labels.velero
    if _has_begun(status):
        return None
    status_comes_until = view.run.metadata.creation_timestamp + _STATUS_COMES
    if velero is not None and view.now < status_comes_until:
        return Plan(requeue_at=status_comes_until)
    if told.ended in FINISHED:
        message = (
            f"restored from a backup: the run had {told.ended} before, what it left is not in its status. To have "
            f"its work done again, podrelay rerun {view.run.metadata.name}"
        )
        error = TaskError(message, RESTORED) if told.ended == "Failed" else None
        return statuses.finish(view, status, told.ended, RESTORED, message, error=error)
    if told.began is None and velero is None:
        return None
    what, remove = f"the run had begun at {told.began}", f"its annotation {names.ANNOTATION_BEGAN}"
    if velero is not None:
        what = what if told.began is not None else "it is not known whether the run had begun"
        remove = f"its label {names.LABEL_VELERO_RESTORE}" + (f" and {remove}" if told.began is not None else "")
    message = (
        f"restored from a backup without its status: {what}. To run it from its beginning, or from what its records "
        f"tell, podrelay resume {view.run.metadata.name}, or remove {remove}; else abort it"
    )
    return _hold(view, RESTORED, message)


def adoptions(view: View) -> tuple[AdoptRecord, ...]:
    """Return what gives records that lost their owner on the way through a backup back to the run."""
    if view.run.metadata.labels.velero is None:
        return ()
    return tuple(AdoptRecord(item) for item in view.records if item.metadata.owner_run() is None and view.owns(item))


def _hold(view: View, reason: str, message: str) -> Plan:
    """Show it, and leave alone where the run stands: that decides how it goes on."""
    adopted = adoptions(view)
    if adopted:
        return Plan(actions=adopted)
    status = view.run.status
    return Plan(status=statuses.show(view, status, status.phase or "Pending", reason, message))


def _has_begun(status: TaskRunStatus) -> bool:
    return status.started_at is not None or status.last_record is not None


def _place(status: TaskRunStatus) -> str:
    if not _has_begun(status):
        return "before it had begun"
    return f"in iteration {names.iteration_of(status.last_record or '') + 1}"
