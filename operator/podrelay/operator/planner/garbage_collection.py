"""Garbage collection during and after a run: finished pods, old records, expired runs.

Pure functions, called by the planner when nothing more urgent is due.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from podrelay.api import names
from podrelay.api.phases import FINISHED
from podrelay.operator import object_rules
from podrelay.operator.objects.records import Record
from podrelay.operator.objects.runs import TaskRunStatus
from podrelay.operator.plan import Action, AnnotateRun, DeletePod, DeleteRecord, DeleteRun, EndPod, Plan, ReleasePod
from podrelay.operator.planner import (
    ahead,
    children,
    due_pod,
    failures,
    late_creations,
    pod_shutdown,
    restored_runs,
    termination_message,
)
from podrelay.operator.planner.conditions import with_conditions
from podrelay.operator.pods import Pod
from podrelay.operator.view import View

_UNKNOWN_HISTORY_LIMIT: Final = 20
_LOST_POD_INTERVAL: Final = timedelta(minutes=1)
"""How often a pod that does not terminate is checked; the change it waits for arrives as a watch event anyway."""
_EVENTS: Final = {"Succeeded": "OnSuccess", "Failed": "OnError", "Aborted": "OnAbort"}
"""The value of selfCleanup for each final phase."""


def after_the_end(view: View) -> Plan:
    """Return what remains to be done for a finished run."""
    delete = DeleteRun(view.run.metadata.uid, view.run.metadata.resource_version)
    if _cleans_itself_up(view):
        return Plan(actions=(delete,))
    spare = ahead.given_back(view, view.run.status)
    if spare:
        return Plan(actions=spare)
    requeue: list[datetime] = []
    actions: list[Action] = [
        *children.cascade(view),
        *restored_runs.adoptions(view),
        *_pods_of_a_finished_run(view, requeue),
        *_old_records(view),
    ]
    if actions:
        return Plan(actions=tuple(actions))
    annotation = _annotation(view, requeue)
    if annotation is not None:
        return Plan(actions=(annotation,))
    expires = _expires_at(view)
    if not (_is_kept_for_its_parent(view) or view.is_kept_for_its_schedule):
        if view.is_surplus or (expires is not None and view.now >= expires):
            return Plan(actions=(delete,))
        if expires is not None:
            requeue.append(expires)
    adoption = children.adoption(view)
    actions = [adoption] if adoption is not None else []
    return Plan(tuple(actions), _observed(view), requeue_at=min(requeue, default=None))


def _cleans_itself_up(view: View) -> bool:
    """Return whether selfCleanup of its definition deletes a finished run now, together with its descendants."""
    events = view.definition.spec.self_cleanup if view.definition is not None else ()
    if _EVENTS.get(view.run.status.phase or "") not in events or _may_be_asked_for_again(view):
        return False
    if view.is_kept_for_its_schedule:
        return False
    # A child without an owner would stay; the run is reconciled again when the child has been adopted.
    return not view.children.unadopted


def _may_be_asked_for_again(view: View) -> bool:
    """Return whether another attempt of the parent's iteration would start the run again if its name were free."""
    if not _is_kept_for_its_parent(view) or view.parent is None:
        return False
    started_by = view.run.metadata.annotations.parent_iteration or ""
    return not started_by.isdecimal() or view.parent.answered < int(started_by)


def _is_kept_for_its_parent(view: View) -> bool:
    """Return whether an unfinished parent may still read the result of the run."""
    return view.parent is not None and not view.parent.is_finished


def _expires_at(view: View) -> datetime | None:
    """Return until when a finished run is kept; for a child, the time starts when its parent has finished, too."""
    ttl, finished_at = _ttl(view), view.run.status.finished_at
    if ttl is None or finished_at is None:
        return None
    of_parent = view.parent.finished_at if view.parent is not None else None
    return max(finished_at, of_parent or finished_at) + ttl


def _pods_of_a_finished_run(view: View, requeue: list[datetime]) -> list[Action]:
    actions: list[Action] = []
    answered = {record.pod_uid for record in view.records if record.response is not None or record.hook is not None}
    for pod in view.pods:
        if not view.owns(pod):
            continue
        policy = pod.metadata.annotations.pod_cleanup
        is_unstarted = not (pod.has_started or pod.is_released)
        if pod.metadata.deletion_timestamp is not None:
            actions += _release_if_certain(view, pod, requeue)
        elif pod.is_unclaimed or (is_unstarted and (pod.reports_by_message or due_pod.is_superseded(view, pod))):
            actions.append(_delete_unstarted(pod))
        elif is_unstarted:
            # Created too late, by a request whose response was lost. It does nothing if it starts, but it may never
            # start.
            if view.now >= pod.pending_deadline:
                actions.append(_delete_unstarted(pod))
            else:
                requeue.append(pod.pending_deadline)
        elif not pod.is_released and pod.metadata.uid not in answered:
            _end(view, pod, actions, requeue)  # it was not seen when the run finished
        elif not pod.is_released and view.now >= (over := _time_to_end(view, pod)):
            _end(view, pod, actions, requeue)
        elif not pod.is_released:
            requeue.append(over)
        elif policy == "Always" or (policy == "OnSuccess" and view.run.status.phase == "Succeeded"):
            _remove(view, pod, actions, requeue)
        else:
            _end_sidecars(view, pod, actions, requeue)
    return actions


def _time_to_end(view: View, pod: Pod) -> datetime:
    """Return until when a pod that has answered may keep running after its run finished: it may call hooks."""
    hooks_take = int(pod.metadata.annotations.iteration_timeout) if view.run.status.hooks_due else 0
    return (view.run.status.finished_at or view.now) + timedelta(seconds=hooks_take) + view.settings.answer_grace


def end_all(view: View) -> tuple[tuple[Action, ...], datetime | None]:
    """Return what ends the pods of a run that is being deleted, and when the next step is due, if any."""
    actions: list[Action] = []
    requeue: list[datetime] = []
    is_stored = view.run.status.phase in FINISHED
    for pod in filter(view.owns, view.pods):
        if pod.is_released and pod.is_held and is_stored:
            actions.append(ReleasePod(pod))
        elif pod.is_released or (pod.is_held and pod.is_force_deleted):
            actions += _release(pod)
        else:
            _end(view, pod, actions, requeue)
    return tuple(actions), min(requeue, default=None)


def of_a_former_run(pods: Iterable[Pod]) -> tuple[Action, ...]:
    """Return what releases the pods of a run that no longer exists; garbage collection deletes them."""
    return tuple(action for pod in pods for action in _release(pod))


def while_hooks_are_pending(view: View) -> tuple[Action, ...]:
    """Return what releases the pods of a finished run while its hooks wait for a slot, or run in another pod.

    Whether the node ended the current pod is known only with its phase, which follows its container's end.
    """
    status = view.run.status
    released = [
        action
        for pod in view.pods
        if view.owns(pod) and (pod.is_terminal or pod.task.terminated is None or not object_rules.is_named(status, pod))
        for action in _release(pod)
    ]
    return (*ahead.given_back(view, status), *released)


def _is_stored(view: View, pod: Pod) -> bool:
    """Return whether the result of a pod is stored, or would be the same if the pod no longer existed."""
    if any(record.pod_uid == pod.metadata.uid and record.response is not None for record in view.records):
        return True
    return pod.is_terminal and termination_message.answer_of(pod) is None and failures.disruption_of(pod) is not None


def _release(pod: Pod) -> list[Action]:
    """Remove Podrelay's finalizer from a deleted pod that is no longer needed, once it has ended."""
    is_over = pod.metadata.deletion_timestamp is not None and (pod.is_released or pod.is_force_deleted)
    return [ReleasePod(pod)] if is_over and pod.is_held else []


def _release_if_certain(view: View, pod: Pod, requeue: list[datetime]) -> list[Action]:
    """As `_release`, but keep the name of a pod taken while an earlier request may still create another one.

    Such a pod would do the work again. A pod that reports by API asks first.
    """
    until = late_creations.keeps_name(view, pod)
    if until is None:
        return _release(pod)
    requeue.append(until)
    return []


def _end(view: View, pod: Pod, actions: list[Action], requeue: list[datetime]) -> None:
    step = pod_shutdown.next_step(pod, view.now, view.settings.answer_grace)
    if step.action is not None:
        actions.append(step.action)
    elif step.due is not None:
        requeue.append(max(step.due, view.now + _LOST_POD_INTERVAL) if step.is_lost else step.due)


def _annotation(view: View, requeue: list[datetime]) -> AnnotateRun | None:
    """Return the annotation that shows, also in a backup without the status, that the run has begun or finished."""
    status, known = view.run.status, view.run.metadata.annotations
    if status.phase in FINISHED:
        annotation, value, since, existing = names.ANNOTATION_ENDED, status.phase or "", status.finished_at, known.ended
    else:
        since, existing = status.started_at, known.began
        annotation, value = names.ANNOTATION_BEGAN, since.isoformat() if since is not None else ""
    if since is None or existing is not None:
        return None
    due = since + view.settings.annotate_after
    if view.now >= due:
        return AnnotateRun(annotation, value)
    requeue.append(due)
    return None


def _observed(view: View) -> TaskRunStatus | None:
    """Return the status of a finished run with its current generation, without which kstatus would wait forever."""
    status, generation = view.run.status, view.run.metadata.generation
    if status.observed_generation in {None, generation}:
        return None
    seen = status.changed(observed_generation=generation)
    return with_conditions(seen, view.now.replace(microsecond=0), stalled=False)


def _ttl(view: View) -> timedelta | None:
    seconds = object_rules.own_ttl_seconds(view.run, view.definition)
    if seconds is not None:
        return timedelta(seconds=seconds)
    if view.retention_days is not None:
        return timedelta(days=view.retention_days) if view.retention_days else None
    return view.settings.default_ttl


def during_run(view: View, following: Plan) -> Plan:
    """Return `following` with the due cleanup added; `following` itself must not contain any actions."""
    actions: list[Action] = []
    requeue = [following.requeue_at] if following.requeue_at else []
    status, due = view.run.status, due_pod.due_target(view, view.run.status)
    current = status.current
    answers = {record.pod_uid: record.response.status for record in view.records if record.response is not None}
    for pod in view.pods:
        if not view.owns(pod):
            continue
        policy = pod.metadata.annotations.pod_cleanup
        is_held_back = ahead.is_held_back(view, status, pod)
        is_past = current is not None and pod.metadata.uid != current.pod_uid and not is_held_back
        ended_well = answers.get(pod.metadata.uid) == "continue"
        if pod.metadata.deletion_timestamp is not None:
            is_over = is_past or is_held_back or pod.metadata.name != due.name or _is_stored(view, pod)
            actions += _release_if_certain(view, pod, requeue) if is_over else []
        elif is_past and pod.is_unclaimed:
            actions.append(_delete_unstarted(pod))
        elif is_past and pod.is_released and (policy == "Always" or (policy == "OnSuccess" and ended_well)):
            _remove(view, pod, actions, requeue)
        elif is_past and not pod.is_released:
            _end_after_its_answer(view, pod, actions, requeue)
        else:
            _end_sidecars(view, pod, actions, requeue)
    actions += _old_records(view)
    actions += filter(None, (children.adoption(view), _annotation(view, requeue)))
    return Plan(tuple(actions), following.status, following.payload_from, min(requeue, default=None))


def _remove(view: View, pod: Pod, actions: list[Action], requeue: list[datetime]) -> None:
    """Delete a pod whose result is stored; its finalizer, which stays until then, is removed after that."""
    if pod.is_released:
        actions.append(DeletePod(pod.metadata.name, pod.metadata.uid))
    else:
        _end_sidecars(view, pod, actions, requeue)


def _end_sidecars(view: View, pod: Pod, actions: list[Action], requeue: list[datetime]) -> None:
    """Set a deadline for a pod whose task has ended but whose sidecars still run, so that it does not run forever."""
    terminated = pod.task.terminated
    if terminated is None or pod.is_terminal:
        return
    if pod.metadata.annotations.ending_since is not None:
        return
    due = (terminated.finished_at or view.now) + view.settings.answer_grace
    if view.now >= due:
        actions.append(EndPod(pod))
    else:
        requeue.append(due)


def _end_after_its_answer(view: View, pod: Pod, actions: list[Action], requeue: list[datetime]) -> None:
    """End a pod that has answered, and whose successor works already, if its container keeps running."""
    record = next((record for record in view.records if record.pod_uid == pod.metadata.uid), None)
    if record is None or record.response is None:
        return
    due = view.answered_at(pod, record) + view.settings.answer_grace
    if view.now >= due:
        _end(view, pod, actions, requeue)
    else:
        requeue.append(due)


def _delete_unstarted(pod: Pod) -> DeletePod:
    """Delete a pod that is not needed, unless it has started meanwhile: its resourceVersion is a precondition."""
    return DeletePod(pod.metadata.name, pod.metadata.uid, pod.metadata.resource_version)


def _old_records(view: View) -> list[Action]:
    limit = view.definition.spec.history_limit.iterations if view.definition else _UNKNOWN_HISTORY_LIMIT
    attempts = [record for record in view.records if record.hook is None and view.owns(record)]
    records = sorted(attempts, key=lambda record: (record.iteration, record.try_))
    surplus = records[: max(0, len(records) - limit)]
    return [
        DeleteRecord(record.metadata.name, record.metadata.uid) for record in surplus if not _is_needed(view, record)
    ]


def _is_needed(view: View, record: Record) -> bool:
    status = view.run.status
    if record.metadata.name in {status.last_record, status.output_from}:
        return True
    # In the iteration that is not over yet, a checkpoint or a late answer may still be used.
    return status.phase not in FINISHED and record.iteration > names.iteration_of(status.last_record or "")
