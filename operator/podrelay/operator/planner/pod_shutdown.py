"""How a pod is brought to its end, step by step; the pod itself tells which step it is at. Pure, as the planner."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from podrelay.operator.plan import DeletePod, EndPod
from podrelay.operator.pods import Pod


@dataclass(frozen=True, slots=True)
class Step:
    """What is to be done for the end of a pod now, or what is waited for."""

    action: EndPod | DeletePod | None = None
    due: datetime | None = None
    """Without an action: when the next step is due, or, of a pod that is lost, since when it has been."""
    is_lost: bool = False
    """Whether the pod does not go although all of its time is over."""


def next_step(pod: Pod, now: datetime, patience: timedelta, why: str | None = None) -> Step:
    """Return the next step for a pod that is to end.

    Args:
        pod: as it is known.
        now: aware, UTC.
        patience: what a kubelet gets beyond the grace period.
        why: noted on the pod; None: its time is over.
    """
    grace = timedelta(seconds=pod.spec.termination_grace_period_seconds)
    deleted = pod.metadata.deletion_timestamp  # the time at which its grace period is over
    ending_since = pod.metadata.annotations.ending_since
    if deleted is not None:
        return Step(due=deleted + patience, is_lost=now >= deleted + patience)
    if not pod.has_started:
        return Step(DeletePod(pod.metadata.name, pod.metadata.uid, pod.metadata.resource_version))
    if ending_since is None:
        return Step(EndPod(pod, why))
    over = datetime.fromisoformat(ending_since) + grace + patience
    return Step(DeletePod(pod.metadata.name, pod.metadata.uid)) if now >= over else Step(due=over)
