"""Rules for parents and children: which children may start, what a parent waits for, what an abort includes.

Pure functions, called by the planner.
"""

from typing import Final, NamedTuple

from podrelay.operator.objects.answers import WaitForChildren
from podrelay.operator.objects.runs import TaskRunStatus
from podrelay.operator.plan import AbortChild, AdoptRun
from podrelay.operator.view import Parent, RunRef, View

WAITING: Final = "WaitingForChildren"
_ALL: Final = "*"


class Obstacle(NamedTuple):
    """Why a run is not started."""

    reason: str
    message: str


def obstacle(view: View, status: TaskRunStatus) -> Obstacle | None:
    """Return why a run must not be a child of the parent that it names; checked only before its first pod."""
    name = view.run.spec.parent
    if name is None or status.last_record or status.current or status.attempts or status.disruptions:
        return None
    if name == view.run.metadata.name:
        return Obstacle("NotAllowed", "spec.parent names the run itself; a run cannot be its own parent")
    if view.parent is None:
        # Runs are seen in the order of their creation, so a parent that exists has been seen.
        return Obstacle("ParentNotFound", f'spec.parent names TaskRun "{name}", which does not exist in this namespace')
    if not _may_trigger(view.parent, view.run.spec.definition):
        return Obstacle(
            "NotAllowed",
            f"runs of {view.parent.definition} are not allowed to start runs of {view.run.spec.definition}; "
            f"add {view.run.spec.definition} to spec.triggers of TaskDefinition {view.parent.definition}",
        )
    if view.parent.ancestors > view.settings.max_depth:
        return Obstacle("TooManyAncestors", f"the run would have more than {view.settings.max_depth} ancestors")
    allowed = view.parent.max_children
    if allowed is not None and view.parent.unfinished_children > allowed:
        return Obstacle(
            "TooManyChildren",
            f"TaskRun {name} has {view.parent.unfinished_children} unfinished children; spec.maxChildren of "
            f"TaskDefinition {view.parent.definition} allows {allowed}",
        )
    if view.parent.is_aborted:
        return Obstacle("ParentAborted", f"the parent, TaskRun {name}, was aborted before this run began")
    return None


def goes_with_its_parent(view: View) -> bool:
    """Return whether the parent was deleted, so that garbage collection is about to delete this run, too.

    Deleting the parent alone (`--cascade=orphan`) removes the owner reference, so it is not mistaken for this case.
    """
    owner = view.run.metadata.owner_run()
    return view.parent is None and owner is not None and owner.name == view.run.spec.parent


def _may_trigger(parent: Parent, definition: str) -> bool:
    triggers = parent.triggers or ()
    return definition in triggers or _ALL in triggers


def unfinished(view: View, awaited: WaitForChildren) -> int:
    """Return how many of the awaited children are unfinished."""
    counts = view.children.unfinished
    return sum(counts.values()) if awaited.definition is None else counts.get(awaited.definition, 0)


def waiting_message(view: View, status: TaskRunStatus, awaited: WaitForChildren, count: int) -> str:
    """Return the message of a waiting run, with the initial number: otherwise each child that ends costs a write."""
    shown = view.run.status
    if shown.reason == WAITING and shown.last_record == status.last_record and shown.message:
        return shown.message
    children = "1 child" if count == 1 else f"{count} children"
    return f"waits for {children}" + (f" of {awaited.definition}" if awaited.definition else "")


def cascade(view: View) -> tuple[AbortChild, ...]:
    """Return the aborts of children that the run's own abort includes; if there are many, only some of them."""
    abort = view.run.spec.abort
    if abort is None or not abort.cascade:
        return ()
    message = abort.message or f"The parent, TaskRun {view.run.metadata.name}, was aborted."
    return tuple(AbortChild(child, message, abort.by) for child in view.children.to_abort)


def adoption(view: View) -> AdoptRun | None:
    """Return the action that makes the parent the owner of a child that was created without an owner."""
    run, parent = view.run, view.parent
    if parent is None or run.spec.parent is None or parent.uid == run.metadata.uid:
        return None
    if run.metadata.owner_run() is not None:
        return None
    return AdoptRun(RunRef(run.spec.parent, parent.uid))
