"""No attempt is running: create the next pod, or show in the status what the run waits for. Pure functions."""

from datetime import datetime, timedelta
from typing import Final

import msgspec

from podrelay.api import invalid_input
from podrelay.operator import object_rules, overrides
from podrelay.operator.objects.answers import TaskError
from podrelay.operator.objects.runs import TaskRunStatus
from podrelay.operator.plan import (
    ConfirmChildren,
    ConfirmLost,
    CreatePod,
    Plan,
    ReadInput,
    ReadRecord,
    TakeSlot,
    Target,
)
from podrelay.operator.planner import admission, ahead, children, due_pod, restored_runs, signals, statuses
from podrelay.operator.pods import Pod
from podrelay.operator.view import View

_GARBAGE_COLLECTION: Final = timedelta(seconds=30)
"""Kubernetes deletes the children of a deleted parent within seconds; a message on each would cost a status write."""

_POD_ENDS: Final = timedelta(minutes=1)
"""A standby pod ends within seconds, unless its node is lost or a foreign finalizer keeps it."""


def start(view: View, status: TaskRunStatus) -> Plan:
    """Create the next pod; `status` holds the progress of the run, and is written once the pod exists."""
    target = due_pod.due_target(view, status)
    pod = next((pod for pod in view.pods if pod.metadata.name == target.name), None)
    pod = pod if pod is not None and view.owns(pod) else None
    if pod is not None and not ahead.is_held_back(view, status, pod):
        return Plan(status=statuses.running(view, status, target, pod))
    abort = view.run.spec.abort
    if abort is not None:
        return statuses.finish(view, status, "Aborted", "Aborted", abort.message or "Task aborted.")
    unseen = due_pod.unseen_answer(view, target)
    if unseen is not None:
        return Plan(actions=(ReadRecord(unseen),))
    wait = signals.wait_before(view, target)
    if target.try_ == 1 and (wait is not None or status.waiting_for is not None):
        status = status.changed(next_iteration_at=None)  # the time until which it waits for signals
    if wait is not None:
        held = _held_by_signals(view, status, wait, target, pod)
        if held is not None:
            return held
        status, target = status.changed(approvals=signals.decisions(view, status, wait)), signals.given(target, wait)
    return (
        restored_runs.without_status(view, status)
        or _held_by_parent_or_children(view, status, target)
        or _admit(view, status)
        or _wait(view, status)
        or _obstructed(view, status, target)
        or _take_turn(view, status, target, pod)
    )


def _held_by_signals(
    view: View, status: TaskRunStatus, wait: signals.Wait, target: Target, pod: Pod | None
) -> Plan | None:
    """Show which signals an iteration waits for before its first attempt; None if the wait has ended."""
    if target.try_ > 1:
        return None
    held = signals.hold(view, status, wait)
    if held is not None or pod is None or pod.metadata.annotations.signals is not None:
        return held
    return _without_signals(view, status, target, pod)


def _without_signals(view: View, status: TaskRunStatus, target: Target, pod: Pod) -> Plan:
    """Wait for the end of a standby pod, which was created before the answer, without signals; it must not be released.

    Pods that are held back are deleted while the run waits.
    """
    message = f"pod {target.name}, which was created before the signals arrived, must end first"
    overdue = (pod.metadata.deletion_timestamp or view.now) + _POD_ENDS
    if view.now < overdue:
        waiting = statuses.wait(view, status, object_rules.WAITING_FOR_SIGNAL, message, None)
        return Plan(status=waiting.status, requeue_at=overdue)
    if not pod.is_held and (pod.task.terminated is not None or not pod.spec.node_name):
        # A foreign finalizer keeps it. It can no longer run, so it counts as an attempt that was disrupted.
        return Plan(status=statuses.running(view, status, target, pod))
    return statuses.stall(view, status, "NameTaken", f"{message}; delete it")


def _wait(view: View, status: TaskRunStatus) -> Plan | None:
    """Show that the run waits for a point in time or is suspended; None if it is due."""
    due = _due(view, status)
    if due is not None and due > view.now:
        return statuses.wait(view, status, _reason_of_wait(status), f"next pod at {statuses.clock(due)}", due)
    if view.run.spec.suspend:
        return statuses.wait(view, status, "Suspended", "set spec.suspend to false to continue", None)
    if view.definition is not None and view.definition.spec.suspend:
        words = f"set spec.suspend of TaskDefinition {view.definition.metadata.name} to false to continue"
        return statuses.wait(view, status, "DefinitionSuspended", words, None)
    return None


def _obstructed(view: View, status: TaskRunStatus, target: Target) -> Plan | None:
    """Show what prevents the creation of the due pod; None if it can be attempted."""
    if view.definition is None:
        return statuses.no_definition(view, status)
    not_allowed = overrides.refusal(view.run, view.definition)
    if not_allowed is not None:
        return statuses.stall(view, status, object_rules.OVERRIDES_NOT_ALLOWED, not_allowed)
    others = {obj.metadata.name for objects in (view.pods, view.records) for obj in objects if not view.owns(obj)}
    if target.name in others:
        message = f"{target.name} already exists and does not belong to this run; delete it"
        return statuses.stall(view, status, "NameTaken", message)
    if target.state is not None and target.checkpoint is None and due_pod.record_named(view, target.state) is None:
        if target.state not in view.lost_records:
            return Plan(actions=(ConfirmLost(target.state),))
        lost = f"TaskIteration {target.state}, which held the input of iteration {target.iteration}, has been deleted"
        return statuses.finish(view, status, "Failed", "StateLost", lost, error=TaskError(lost, "StateLost"))
    refusal = view.refusal
    if refusal is not None and refusal.name == target.name and refusal.retry_at > view.now:
        # It gives back its slot meanwhile: a run that cannot start must not keep others from starting.
        return statuses.stall(view, status, refusal.reason, refusal.message, refusal.since, refusal.retry_at)
    return None


def _take_turn(view: View, status: TaskRunStatus, target: Target, pod: Pod | None) -> Plan:
    """Create the pod, or release the one that was created ahead, if no answer is missing and the limits allow it."""
    if pod is not None:
        waiting = _until_it_is_gone(view, status, pod)
        if waiting is None and pod.is_released and admission.has_to_queue(view):
            return _queue(view, status)  # the pod that replaces it needs a slot
        return waiting or Plan(status=statuses.running(view, status, target, pod))
    unconfirmed = due_pod.unconfirmed_attempt(view, target)
    if unconfirmed is not None:
        return Plan(actions=(ReadRecord(unconfirmed),))
    if admission.has_to_queue(view):
        return _queue(view, status)
    near = due_pod.node_of(view, target.state) if target.try_ == 1 and target.state is not None else ""
    is_alone = view.creates_alone and object_rules.reports_by_message(view.definition)
    return Plan(actions=(CreatePod(msgspec.structs.replace(target, near=near), may_start_unclaimed=is_alone),))


def _until_it_is_gone(view: View, status: TaskRunStatus, pod: Pod) -> Plan | None:
    """Wait for the end of a pod that was deleted while it was held back, because the run waited; None if it may work.

    Then another pod gets its name. If it does not end in time, it becomes the current pod, and is replaced like one.
    Once its container has ended, it needs no slot, although a foreign finalizer may keep it.
    """
    deleted = pod.metadata.deletion_timestamp
    overdue = deleted + _POD_ENDS if deleted is not None else view.now
    if view.now >= overdue:
        return None
    message = f"pod {pod.metadata.name}, which was deleted before its turn, must end first"
    waiting = statuses.wait(view, status, _reason_of_wait(status), message, None)
    return Plan(status=waiting.status, requeue_at=overdue, keeps_slot=not pod.is_released)


def _held_by_parent_or_children(view: View, status: TaskRunStatus, target: Target) -> Plan | None:
    """Show what keeps a child from starting, or a parent from continuing; None if nothing does."""
    if children.goes_with_its_parent(view):
        collected = (view.parent_missing_since or view.now) + _GARBAGE_COLLECTION
        if view.now < collected:
            return Plan(requeue_at=collected)
        message = f"the parent, TaskRun {view.run.spec.parent}, was deleted; garbage collection deletes this run"
        return statuses.stall(view, status, "ParentDeleted", message)
    obstacle = children.obstacle(view, status)
    if obstacle is not None:
        error = TaskError(obstacle.message, obstacle.reason)
        return statuses.finish(view, status, "Failed", obstacle.reason, obstacle.message, error=error)
    record = due_pod.record_named(view, target.state) if target.state is not None and target.try_ == 1 else None
    awaited = record.response.wait_for_children if record is not None and record.response is not None else None
    if record is None or awaited is None or target.signals is not None:
        return None
    if view.children.known_since != record.metadata.name:
        return Plan(actions=(ConfirmChildren(record.metadata.name),))
    count = children.unfinished(view, awaited)
    if not count:
        return None
    message = children.waiting_message(view, status, awaited, count)
    # No time is scheduled: the store marks the run when the last child has finished or was deleted.
    return Plan(status=statuses.wait(view, status, children.WAITING, message, status.next_iteration_at).status)


def _admit(view: View, status: TaskRunStatus) -> Plan | None:
    """Show at once, not after its delay, what is wrong with a new run; None if it may continue."""
    if not object_rules.is_new(status):
        return None
    if view.definition is None:
        return statuses.no_definition(view, status)
    not_allowed = overrides.refusal(view.run, view.definition)
    if not_allowed is not None:
        return statuses.stall(view, status, object_rules.OVERRIDES_NOT_ALLOWED, not_allowed)
    if not admission.needs_input(view.definition):
        return None
    if view.input is None:
        return Plan(actions=(ReadInput(),))
    if view.input.schema_problem is not None:
        return statuses.stall(view, status, object_rules.INVALID_INPUT_SCHEMA, view.input.schema_problem)
    if not view.input.invalid_fields:
        return None
    error = TaskError(invalid_input.VALIDATION_FAILED, invalid_input.INVALID_FIELDS)
    message = invalid_input.in_words(view.input.invalid_fields)
    failed = statuses.finish(view, status, "Failed", "InvalidInput", message, error=error)
    return msgspec.structs.replace(failed, error_data={"invalidFields": dict(view.input.invalid_fields)})


def _queue(view: View, status: TaskRunStatus) -> Plan:
    """Wait for a slot; the run is reconciled again when it gets one."""
    if admission.lacks_value(view):
        return Plan(actions=(ReadInput(),))
    slot = view.slot
    if slot is None:
        return Plan(actions=(TakeSlot(admission.value_of(view)),))
    place, message = admission.place_in_words(view, slot)
    shown = statuses.show(
        view,
        status,
        status.phase or "Pending",
        object_rules.QUEUED,
        message,
        current=None,
        next_iteration_at=None,
        queue_position=place,
    )
    return Plan(status=shown, keeps_slot=True)


def _due(view: View, status: TaskRunStatus) -> datetime | None:
    """Return when the next pod is due; until the run has started, its spec decides that, which may have changed."""
    if status.current is not None or status.last_record is not None or status.started_at is not None:
        return status.next_iteration_at
    retried = status.next_iteration_at if status.attempts or status.disruptions else None
    return max((due for due in (object_rules.start_of(view.run), retried) if due is not None), default=None)


def _reason_of_wait(status: TaskRunStatus) -> str:
    if status.attempts:
        return "Retrying"
    if status.disruptions:
        return "Disrupted"
    return "Waiting" if status.last_record else "Delayed"
