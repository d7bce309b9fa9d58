"""Whose turn it is: which pod is due by the status, and which one holds the baton. Pure, as the planner."""

from dataclasses import dataclass, replace

from podrelay.api import names
from podrelay.operator import object_rules
from podrelay.operator.objects import Record, TaskRunStatus
from podrelay.operator.plan import Target
from podrelay.operator.planner import hooks, retry_policy
from podrelay.operator.pods import Pod
from podrelay.operator.view import Gone, View


@dataclass(frozen=True, slots=True)
class Attempt:
    """The pod that holds the baton, as far as it is known: perhaps only its UID, or only its record."""

    target: Target
    uid: str
    pod: Pod | None
    record: Record | None
    gone: Gone | None

    @property
    def has_ended(self) -> bool:
        """Whether the container that does the work cannot run any more."""
        return self.pod.is_released if self.pod is not None else self.gone is not None


def due_target(view: View, status: TaskRunStatus) -> Target:
    """Return the pod that is due when a run stands where `status` says."""
    iteration, try_ = object_rules.due_try(status)
    checkpoints = [
        record
        for record in view.records
        if record.iteration == iteration and record.try_ < try_ and record.checkpoint is not None and view.owns(record)
    ]
    newest = max(checkpoints, key=lambda record: record.try_, default=None)
    return Target(
        iteration=iteration,
        try_=try_,
        name=names.pod_name(view.run.metadata.name, iteration, try_),
        state=status.last_record,
        checkpoint=newest.metadata.name if newest else None,
        is_final_attempt=view.definition is None or retry_policy.is_final(view.definition.spec.retry, status.attempts),
        calls_before_trigger=iteration == 1 and not hooks.called_before(view),
    )


def attempt_of(view: View, target: Target) -> Attempt | None:
    """Return who holds the baton, or None if the pod `target` has not been made yet."""
    pod = next((pod for pod in view.pods if pod.metadata.name == target.name and view.owns(pod)), None)
    record = record_named(view, target.name)
    current = view.run.status.current
    if record is not None:
        # The record is the claim: only one pod can have made it, and none runs user code without. It weighs more than
        # the status, which an operator that lost its Lease may have written about a pod of the same name.
        uid = record.pod_uid
    elif current is not None and (current.iteration, current.try_) == (target.iteration, target.try_):
        uid = current.pod_uid
    elif pod is not None:
        uid = pod.metadata.uid  # made, but the operator died before it could say so in the status
    else:
        return None
    return Attempt(
        target, uid, pod if pod is not None and pod.metadata.uid == uid else None, record, view.gone.get(uid)
    )


def is_known_to_have_been(view: View, attempt: Attempt) -> bool:
    """Tell whether the run has had the pod that holds the baton by what its record says.

    Our finalizer keeps each pod until the status has its answer, so either the pod is there, or it was seen, or the
    status names it.
    """
    current = view.run.status.current
    was_seen = attempt.pod is not None or (attempt.gone is not None and attempt.gone.last is not None)
    return was_seen or (current is not None and current.pod_uid == attempt.uid)


def record_named(view: View, name: str) -> Record | None:
    """Return the run's own record of this name."""
    return next((record for record in view.records if record.metadata.name == name and view.owns(record)), None)


def has_successor(view: View, target: Target) -> bool:
    """Tell whether the pod of the next try has been made: then it is decided that `target` was disrupted.

    What failed has a record that says so before it is tried again, and the status may be later than both pods.
    """
    return _is_there(view, names.pod_name(view.run.metadata.name, target.iteration, target.try_ + 1))


def is_made(view: View, status: TaskRunStatus) -> bool:
    """Tell whether the pod that is due by `status` has been made: then it is decided that the run goes on with it.

    The definition may have changed since, or gone.
    """
    return _is_there(view, names.pod_name(view.run.metadata.name, *object_rules.due_try(status)))


def _is_there(view: View, pod_name: str) -> bool:
    return any(pod.metadata.name == pod_name and view.owns(pod) for pod in view.pods)


def late_answer(view: View, target: Target) -> Attempt | None:
    """Return the try that was given up for lost but has answered before its successor was made."""
    for record in view.records:
        if record.iteration != target.iteration or record.try_ >= target.try_ or not view.owns(record):
            continue
        if record.response is not None and record.response.status != "error":
            earlier = replace(target, try_=record.try_, name=record.metadata.name)
            return Attempt(earlier, record.pod_uid, None, record, view.gone.get(record.pod_uid))
    return None


def unconfirmed_try(view: View, target: Target) -> str | None:
    """Return the try before this one where it is not certain yet that it has left no answer."""
    if target.try_ == 1:
        return None
    before = names.pod_name(view.run.metadata.name, target.iteration, target.try_ - 1)
    record = record_named(view, before)
    # Pods and records have a watch each: the end of a pod may be seen long before its answer.
    is_open = (record is None or record.response is None) and before not in view.settled
    return before if is_open else None
