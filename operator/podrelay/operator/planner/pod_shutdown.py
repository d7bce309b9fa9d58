"""Ends a pod step by step; the state of the pod shows which step is next. Pure functions, like the planner."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from podrelay.operator.plan import DeletePod, EndPod
from podrelay.operator.pods import Pod


@dataclass(frozen=True, slots=True)
class Step:
    """The next action that ends a pod, or the time to wait for."""

    action: EndPod | DeletePod | None = None
    due: datetime | None = None
    """Without an action: when the next step is due; for a lost pod, since when it is lost."""
    is_lost: bool = False
    """Whether the pod still exists although all of its deadlines have passed."""


def next_step(pod: Pod, now: datetime, patience: timedelta, why: str | None = None) -> Step:
    """Return the next step for a pod that has to end.

    Args:
        pod: the pod as it was last seen.
        now: aware, UTC.
        patience: extra time for the kubelet after the grace period.
        why: stored in an annotation of the pod; None if the pod's time is over.
    """
    grace = timedelta(seconds=pod.spec.termination_grace_period_seconds)
    deleted = pod.metadata.deletion_timestamp  # the end of its grace period
    ending_since = pod.metadata.annotations.ending_since
    if deleted is not None:
        return Step(due=deleted + patience, is_lost=now >= deleted + patience)
    if not pod.has_started:
        return Step(DeletePod(pod.metadata.name, pod.metadata.uid, pod.metadata.resource_version))
    if ending_since is None:
        return Step(EndPod(pod, why))
    over = datetime.fromisoformat(ending_since) + grace + patience
    return Step(DeletePod(pod.metadata.name, pod.metadata.uid)) if now >= over else Step(due=over)
