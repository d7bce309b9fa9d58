"""Pods that are created ahead: the next pod starts while the container of the current one still works, or ends.

Such a pod runs user code only when the status names it (`current`), which the operator writes after the end of the pod
before it. Until then it is held back, and is not an attempt. Pure functions, like the planner.
"""

from datetime import datetime, timedelta
from typing import Final

import msgspec

from podrelay.api import names, protocol
from podrelay.operator import object_rules
from podrelay.operator.objects.records import Record
from podrelay.operator.objects.runs import TaskRunStatus
from podrelay.operator.plan import Action, CreatePod, DeletePod, Plan, Target
from podrelay.operator.planner.due_pod import Attempt
from podrelay.operator.pods import Pod
from podrelay.operator.view import View

AHEAD: Final = "Ahead"


def next_after_answer(view: View, attempt: Attempt, record: Record, following: Plan) -> CreatePod | None:
    """Return the creation of the next pod, although the container of `attempt`, which has answered, has not ended.

    `following` is what follows from the answer; it shows whether the next pod is due now and has a slot.
    """
    is_due = len(following.actions) == 1 and isinstance(following.actions[0], CreatePod)
    if not is_due or not _may_be_ahead(view, attempt, record):
        return None
    create = following.actions[0]
    assert isinstance(create, CreatePod)  # noqa: S101 - checked above
    if create.target.iteration == attempt.target.iteration or create.target.name == view.not_ahead:
        return None
    return CreatePod(msgspec.structs.replace(create.target, after=attempt.target.name))


def may_release(view: View, attempt: Attempt, record: Record, following: Plan) -> bool:
    """Return whether the next pod, which exists, may work although the container of `attempt` has not ended.

    That is the case if its runner has found that nothing of the task runs in the container any longer.
    """
    status = following.status
    if not record.quiet or status is None or status.current is None or not _may_be_ahead(view, attempt, record):
        return False
    return status.current.iteration > attempt.target.iteration


def standby(view: View, attempt: Attempt, target: Target) -> tuple[CreatePod | None, datetime | None]:
    """Return the creation of the pod after `target`, whose pod is working, or the time when that is due, or neither."""
    definition, record, run = view.definition, attempt.record, view.run
    if definition is None or definition.spec.standby is None or record is None or attempt.pod is None:
        return None, None
    iteration = target.iteration + 1
    name = names.pod_name(run.metadata.name, iteration, 1)
    is_wanted = (
        _may_be_ahead(view, attempt, record)
        and iteration <= definition.spec.max_iterations
        and not (run.spec.suspend or definition.spec.suspend)
        and name != view.not_ahead
        and all(pod.metadata.name != name for pod in view.pods)
    )
    if not is_wanted:
        return None, None
    due = view.started_at(attempt.pod) + timedelta(seconds=definition.spec.standby.after_seconds)
    if view.now < due:
        return None, due
    following = Target(
        iteration=iteration,
        try_=1,
        name=name,
        state=None,
        checkpoint=None,
        is_final_attempt=definition.spec.retry.limit == 0,
        after=target.name,
        is_standby=True,
        near=attempt.pod.spec.node_name,
    )
    return CreatePod(following), None


def _may_be_ahead(view: View, attempt: Attempt, record: Record) -> bool:
    definition, pod = view.definition, attempt.pod
    return (
        view.settings.creates_ahead
        and definition is not None
        and pod is not None
        and definition.spec.handover == AHEAD
        and definition.spec.reporting == names.REPORTING_API
        # The next pod has the same image, so a runner that waits.
        and record.protocol >= protocol.AHEAD_SINCE
        and pod.metadata.annotations.template_hash == object_rules.template_hash(definition)
    )


def is_held_back(view: View, status: TaskRunStatus, pod: Pod) -> bool:
    """Return whether a pod was created ahead, and was never allowed to run user code."""
    if pod.metadata.annotations.after is None:
        return False
    current = status.current
    reached = max(
        current.iteration if current is not None else 0,
        status.iterations or 0,
        names.iteration_of(status.last_record or ""),
    )
    has_claimed = any(record.pod_uid == pod.metadata.uid for record in view.records)
    return (
        names.iteration_of(pod.metadata.name) > reached and not object_rules.is_named(status, pod) and not has_claimed
    )


def given_back(view: View, status: TaskRunStatus) -> tuple[Action, ...]:
    """Return the deletion of pods that are held back, because the run waits according to `status`, or has finished."""
    return tuple(
        DeletePod(pod.metadata.name, pod.metadata.uid)
        for pod in view.pods
        if view.owns(pod) and pod.metadata.deletion_timestamp is None and is_held_back(view, status, pod)
    )
