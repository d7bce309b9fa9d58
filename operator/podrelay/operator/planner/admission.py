"""The checks before a run gets a pod: its input is validated once, and it needs a slot where limits apply.

Pure functions, called by the planner. The status message of a queued run is built here, too.
"""

from typing import Final

from podrelay.api.phases import FINISHED
from podrelay.operator import object_rules
from podrelay.operator.objects.definitions import TaskDefinition
from podrelay.operator.plan import Plan
from podrelay.operator.view import Slot, View

UNKNOWN_PENDING_TIMEOUT: Final = 900
"""Seconds that a run waits when the definition that would set the timeout does not exist."""


def needs_input(definition: TaskDefinition) -> bool:
    """Return whether the input of a new run of this definition has to be read."""
    return definition.spec.input_schema is not None or definition.spec.concurrency is not None


def lacks_value(view: View) -> bool:
    """Return whether a limit applies to an input field of the run whose value has not been read yet."""
    has_limit = view.definition is not None and view.definition.spec.concurrency is not None
    return has_limit and value_of(view) is None


def value_of(view: View) -> str | None:
    """Return the value of the limited input field; None if it is not known, or there is no such limit."""
    if view.run.status.concurrency_key is not None:
        return view.run.status.concurrency_key
    return view.input.concurrency_key if view.input is not None else None


def has_to_queue(view: View) -> bool:
    """Return whether a limit applies to the run, and it has no slot yet."""
    if view.slot is not None and view.slot.is_granted:
        return False
    own = view.definition.spec if view.definition is not None else None
    is_limited = own is not None and (own.max_concurrent_runs is not None or own.concurrency is not None)
    shared = (view.settings.max_running_pods, view.settings.max_running_pods_per_namespace)
    return is_limited or any(limit is not None for limit in shared)


def gives_back_slot(view: View, following: Plan) -> bool:
    """Return whether the run has or awaits a slot that it does not need now: it is suspended, stalled, or not due yet.

    If the status of the run names a pod, the store releases the slot when a later status no longer names one; the same
    applies to a pod that was created ahead, and is being deleted because the run waits.
    """
    status = following.status
    if view.slot is None or following.actions or following.keeps_slot or status is None:
        return False
    if status.current is not None or view.run.status.current is not None or status.phase in FINISHED:
        return False
    return not has_working_pod(view)


def has_working_pod(view: View) -> bool:
    """Return whether the container of a pod of the run may be running, so that the run keeps its slot."""
    return any(view.owns(pod) and not pod.is_released for pod in view.pods)


def place_in_words(view: View, slot: Slot) -> tuple[int, str]:
    """Return the queue position to show, and the message; both stay as they are until the position has halved.

    So a run in a queue of n costs log n status writes, not one for each run that finishes before it.
    """
    status = view.run.status
    before = status.queue_position if status.reason == object_rules.QUEUED else None
    if before is not None and before != slot.place and 2 * slot.place > before:
        return before, status.message or ""
    return slot.place, _in_words(view, slot)


def _in_words(view: View, slot: Slot) -> str:
    where = f"number {slot.place} in the queue of {view.run.spec.definition}"
    concurrency = view.definition.spec.concurrency if view.definition is not None else None
    have = f"{slot.held} of at most {slot.limit} runs"
    match slot.scope:
        case "value" if concurrency is not None:
            return f"{where}: {have} with the same {concurrency.key} have a pod"
        case "definition":
            return f"{where}: {have} have a pod"
        case "namespace":
            return f"{where}: {have} of this namespace have a pod"
        case "operator":
            return f"{where}: {have} of all definitions have a pod"
        case _:
            return where
