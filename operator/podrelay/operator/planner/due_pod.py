"""Which pod is due according to the status, and which attempt currently owns it. Pure functions, like the planner."""

from dataclasses import dataclass

import msgspec

from podrelay.api import names
from podrelay.operator import object_rules
from podrelay.operator.objects.records import Record
from podrelay.operator.objects.runs import TaskRunStatus
from podrelay.operator.plan import Target
from podrelay.operator.planner import hooks, retry_policy
from podrelay.operator.pods import Pod
from podrelay.operator.view import Gone, View


@dataclass(frozen=True, slots=True)
class Attempt:
    """The current attempt, as far as it is known: perhaps only the UID of its pod, or only its record."""

    target: Target
    uid: str
    pod: Pod | None
    record: Record | None
    gone: Gone | None

    @property
    def has_ended(self) -> bool:
        """Whether the task's container can no longer run."""
        return self.pod.is_released if self.pod is not None else self.gone is not None


def due_target(view: View, status: TaskRunStatus) -> Target:
    """Return the pod that is due according to `status`."""
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
    """Return the current attempt, or None if the pod `target` has not been created yet."""
    pod = next((pod for pod in view.pods if pod.metadata.name == target.name and view.owns(pod)), None)
    record = record_named(view, target.name)
    current = view.run.status.current
    if record is not None:
        # The record is the claim: only one pod can have created it, and no pod runs user code without it. So it takes
        # precedence over the status, which an operator that lost its Lease may have written for another pod of this
        # name.
        uid = record.pod_uid
    elif current is not None and (current.iteration, current.try_) == (target.iteration, target.try_):
        uid = current.pod_uid
    elif pod is not None and pod.metadata.annotations.after is None:
        uid = pod.metadata.uid  # created, but the operator died before it wrote that to the status
    else:
        return None
    return Attempt(
        target, uid, pod if pod is not None and pod.metadata.uid == uid else None, record, view.gone.get(uid)
    )


def is_known_to_have_been(view: View, attempt: Attempt) -> bool:
    """Return whether the run really had the pod that the record of the attempt names.

    Podrelay's finalizer keeps each pod until its answer is in the status, so the pod exists, or was seen, or the
    status names it.
    """
    current = view.run.status.current
    was_seen = attempt.pod is not None or (attempt.gone is not None and attempt.gone.last is not None)
    return was_seen or (current is not None and current.pod_uid == attempt.uid)


def record_named(view: View, name: str) -> Record | None:
    """Return the run's own record of this name."""
    return next((record for record in view.records if record.metadata.name == name and view.owns(record)), None)


def has_successor(view: View, target: Target) -> bool:
    """Return whether the pod of the next attempt exists: then it is already decided that `target` was disrupted.

    An attempt that failed has a record of its failure before it is retried, and the status may lag behind both pods.
    """
    return is_there(view, names.pod_name(view.run.metadata.name, target.iteration, target.try_ + 1))


def following_name(view: View, attempt: Attempt) -> str | None:
    """Return the name of the pod that another operator may have created after `attempt`; None if none can follow it."""
    response, target = attempt.record.response if attempt.record is not None else None, attempt.target
    if response is None or response.status == "error":
        return names.pod_name(view.run.metadata.name, target.iteration, target.try_ + 1)
    if response.status == "continue":
        return names.pod_name(view.run.metadata.name, target.iteration + 1, 1)
    return None


def is_made(view: View, status: TaskRunStatus) -> bool:
    """Return whether the pod that is due by `status` exists: then it is already decided that the run continues with it.

    The definition may have changed or been deleted since.
    """
    return is_there(view, names.pod_name(view.run.metadata.name, *object_rules.due_try(status)))


def node_of(view: View, pod_name: str) -> str:
    """Return the node of a pod of the run; empty if the pod no longer exists, or is on no node."""
    return next((pod.spec.node_name for pod in view.pods if pod.metadata.name == pod_name and view.owns(pod)), "")


def is_taken(view: View, target: Target) -> bool:
    """Return whether a pod of the run has the name of `target`, so that no other operator can create another one."""
    return is_there(view, target.name)


def is_there(view: View, pod_name: str) -> bool:
    """Return whether a pod of the run has this name."""
    return any(pod.metadata.name == pod_name and view.owns(pod) for pod in view.pods)


def late_answer(view: View, target: Target) -> Attempt | None:
    """Return an attempt that was considered lost but had answered before its successor was created."""
    for record in view.records:
        if record.iteration != target.iteration or record.try_ >= target.try_ or not view.owns(record):
            continue
        if record.response is not None and record.response.status != "error":
            earlier = msgspec.structs.replace(target, try_=record.try_, name=record.metadata.name)
            return Attempt(earlier, record.pod_uid, None, record, view.gone.get(record.pod_uid))
    return None


def unseen_answer(view: View, target: Target) -> str | None:
    """Return the name of the record that `target` continues from if its answer is not in the cache; None if it is.

    The answer has been applied, perhaps by another leader, but it also says what the run waits for.
    """
    record = record_named(view, target.state) if target.state is not None else None
    is_unseen = record is not None and record.response is None and record.metadata.name not in view.settled
    return target.state if is_unseen else None


def unconfirmed_attempt(view: View, target: Target) -> str | None:
    """Return the name of an earlier attempt if it is not certain yet that it left neither answer nor newer checkpoint.

    Pods and records have separate watches, so the end of a pod may be seen long before its record. An attempt that left
    no record shows nothing about the ones before it, whose checkpoint another leader may have seen.
    """
    for try_ in range(target.try_ - 1, 0, -1):
        name = names.pod_name(view.run.metadata.name, target.iteration, try_)
        record = record_named(view, name)
        if (record is None or record.response is None) and name not in view.settled:
            return name
        if name == target.checkpoint:
            return None
    return None


def is_superseded(view: View, pod: Pod) -> bool:
    """Return whether the attempt of a pod belongs to another pod that had its name, so that it will never work."""
    name, current = pod.metadata.name, view.run.status.current
    record = record_named(view, name)
    owners = {record.pod_uid} if record is not None else set[str]()
    if current is not None and current.pod_name == name:
        owners.add(current.pod_uid)
    return bool(owners) and pod.metadata.uid not in owners
