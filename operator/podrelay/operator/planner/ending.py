"""The end of a pod, step by step, and what the status shows meanwhile. Pure, like the planner."""

from datetime import datetime, timedelta

from podrelay.operator.objects.answers import TaskError
from podrelay.operator.plan import ConfirmGone, Plan, ReleasePod
from podrelay.operator.planner import late_creations, pod_shutdown, statuses
from podrelay.operator.planner.due_pod import Attempt
from podrelay.operator.pods import Pod
from podrelay.operator.view import View


def end(view: View, attempt: Attempt, pod: Pod, why: str | None = None) -> Plan:
    """End the pod step by step; its state shows which step is next. `why` is stored in an annotation of the pod."""
    if pod.is_held and pod.is_force_deleted:
        until = late_creations.keeps_name(view, pod)
        if until is not None:
            return Plan(status=view.run.status, requeue_at=until)  # another pod of this name may still be created
        return Plan(actions=(ReleasePod(pod),))  # a forced deletion asserts that the pod has ended
    step = pod_shutdown.next_step(pod, view.now, view.settings.answer_grace, why)
    if step.action is not None:
        return Plan(actions=(step.action,))
    if step.is_lost:
        return _node_lost(view, attempt, pod, step.due or view.now)
    deleted = pod.metadata.deletion_timestamp
    if deleted is not None and not pod.has_started:
        return Plan(status=view.run.status, requeue_at=step.due)  # keep showing what keeps it from starting
    aborting = view.run.spec.abort is not None
    reason = "Aborting" if aborting else "PodTerminating" if deleted else "PodEnding"
    message = f"pod {pod.metadata.name} has {pod.spec.termination_grace_period_seconds} s to clean up"
    status = statuses.running(view, view.run.status, attempt.target, pod)
    status = statuses.show(view, status, "Running", reason, message)
    return Plan(status=status, requeue_at=step.due)


def _node_lost(view: View, attempt: Attempt, pod: Pod, since: datetime) -> Plan:
    """The pod did not terminate in time. Finishing the run starts no pod, so it is safe even if this one still runs."""
    deadline = since + timedelta(seconds=int(pod.metadata.annotations.node_lost_timeout))
    message = (
        f"pod {pod.metadata.name} on node {pod.spec.node_name} does not terminate; check the node, or, if it is "
        "certainly shut down, taint it with node.kubernetes.io/out-of-service"
    )
    status = statuses.running(view, view.run.status, attempt.target, pod)
    if view.now >= deadline and view.still_there != (pod.metadata.uid, pod.metadata.resource_version):
        return Plan(actions=(ConfirmGone(attempt.target.name, attempt.uid),))  # its watch may lag
    if view.now >= deadline:
        if view.run.spec.abort is not None:
            return statuses.finish(view, status, "Aborted", "NodeLost", message)
        return statuses.finish(view, status, "Failed", "NodeLost", message, error=TaskError(message, "NodeLost"))
    status = statuses.show(view, status, "Running", "NodeLost", message, stalled=True)
    return Plan(status=status, requeue_at=deadline)
