"""Handles runs that were restored from a backup, so that none of them continues without a request.

The original cluster of a run may still be running it, or may have finished it. So nothing here starts a pod: a run that
had finished stays finished, and an unfinished one waits until a user resumes it (`podrelay resume`). Pure functions.

Such runs are recognized by what survives a backup: the operator's annotations on runs, those of `podrelay import`, the
object that `kubectl apply` keeps in its annotation, and the label that Velero sets on restored objects.
"""

from datetime import timedelta
from typing import Final

from podrelay.api import names
from podrelay.api.phases import FINISHED
from podrelay.operator.objects.answers import TaskError
from podrelay.operator.objects.runs import TaskRunStatus
from podrelay.operator.plan import AdoptRecord, Plan
from podrelay.operator.planner import statuses
from podrelay.operator.view import View

RESTORED: Final = "Restored"
IMPORTING: Final = "Importing"
IMPORTED: Final = "Imported"
_MAKE_SURE: Final = "Make sure that its original cluster no longer runs it"
_STATUS_COMES: Final = timedelta(seconds=30)
"""Velero restores the status, if it is configured to, with a second request."""


def held(view: View) -> Plan | None:
    """Return the plan for an unfinished run that must not continue by itself; None if it may continue."""
    run = view.run
    imported, velero = run.metadata.annotations.imported, run.metadata.labels.velero
    if run.is_incomplete:
        message = "podrelay import has not finished importing this run; import the same file again, or delete the run"
        return _hold(view, IMPORTING, message)
    if run.spec.abort is not None:
        return None
    if imported is not None and run.spec.suspend:
        message = (
            f"imported as it was at {imported}, {_place(run.status)}. {_MAKE_SURE}; then run podrelay resume "
            f"{run.metadata.name}, or set spec.suspend to false"
        )
        return _hold(view, IMPORTED, message)
    if velero is None:
        return None
    if _has_begun(run.status):
        message = (
            f"restored by Velero, {_place(run.status)}. {_MAKE_SURE}; then run podrelay resume {run.metadata.name}, or "
            f"remove its label {names.LABEL_VELERO_RESTORE}"
        )
        return _hold(view, RESTORED, message)
    # Its records may exist, and would be treated as answers that have not been applied yet, including hooks.
    return without_status(view, run.status)


def without_status(view: View, status: TaskRunStatus) -> Plan | None:
    """Return the plan for a run that was restored from a backup without its status; None for any other run."""
    known, velero = view.run.metadata.annotations, view.run.metadata.labels.velero
    if _has_begun(status):
        return None
    status_comes_until = view.run.metadata.creation_timestamp + _STATUS_COMES
    if velero is not None and view.now < status_comes_until:
        return Plan(requeue_at=status_comes_until)
    if known.ended in FINISHED:
        message = (
            f"restored from a backup: the run had finished as {known.ended}, but its results are not in its status. "
            f"To do its work again, run podrelay rerun {view.run.metadata.name}"
        )
        error = TaskError(message, RESTORED) if known.ended == "Failed" else None
        return statuses.finish(view, status, known.ended, RESTORED, message, error=error)
    if known.began is None and velero is None:
        return None
    what, remove = f"the run had begun at {known.began}", f"its annotation {names.ANNOTATION_BEGAN}"
    if velero is not None:
        what = what if known.began is not None else "it is not known whether the run had begun"
        remove = f"its label {names.LABEL_VELERO_RESTORE}" + (f" and {remove}" if known.began is not None else "")
    message = (
        f"restored from a backup without its status: {what}. To run it from its beginning, or from the state in its "
        f"records, run podrelay resume {view.run.metadata.name}, or remove {remove}; otherwise abort it"
    )
    return _hold(view, RESTORED, message)


def adoptions(view: View) -> tuple[AdoptRecord, ...]:
    """Return the actions that restore the owner of records that lost it in a backup."""
    if view.run.metadata.labels.velero is None:
        return ()
    return tuple(AdoptRecord(item) for item in view.records if item.metadata.owner_run() is None and view.owns(item))


def _hold(view: View, reason: str, message: str) -> Plan:
    """Show why the run waits, and keep its progress, which decides how it continues."""
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
