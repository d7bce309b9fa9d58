"""Lifecycle hooks after the end of a run: which pod calls them, and with which outcome. Pure functions.

The final phase is written first, together with the hooks that follow, so later changes of the definition do not matter.
The pod whose answer finished the run waits until it reads that phase, and calls the hooks of that phase. If there is no
such pod (it died, timed out, or was never created), a hook pod is created, which only calls hooks and needs a slot like
any other pod. The outcome of a hook is stored in the record of the pod that called it, and copied to the status.

No hook is called twice unless the pod that called it died: a hook pod is created only when the previous pod can no
longer call hooks, and its record, read live, contains no outcome.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

from podrelay.api import hooks, limits
from podrelay.operator import object_rules
from podrelay.operator.objects.definitions import TaskDefinition
from podrelay.operator.objects.records import HookOutcome, Record
from podrelay.operator.objects.runs import Current
from podrelay.operator.plan import (
    ConfirmGone,
    CreatePod,
    Plan,
    ReadInput,
    ReadRecord,
    ReleasePod,
    ReturnSlot,
    TakeSlot,
    Target,
)
from podrelay.operator.planner import admission, failures, pod_shutdown
from podrelay.operator.pods import Pod
from podrelay.operator.view import View


def declared(definition: TaskDefinition | None) -> tuple[str, ...]:
    """Return the hooks that the task implements, according to its definition."""
    return definition.spec.hooks if definition is not None else ()


def due_at_end(phase: str, reason: str, definition: TaskDefinition | None) -> tuple[str, ...]:
    """Return the hooks that follow when a run ends in this phase and for this reason."""
    return tuple(hook for hook in hooks.due_after(phase, reason) if hook in declared(definition))


def merged(known: tuple[HookOutcome, ...], records: Iterable[Record]) -> tuple[HookOutcome, ...]:
    """Return the known outcomes and those in `records`; the first outcome of a hook takes precedence."""
    outcomes = {outcome.name: outcome for outcome in known}
    for record in records:
        for outcome in record.hooks:
            outcomes.setdefault(outcome.name, outcome)
    return tuple(outcomes.values())


def after_the_end(view: View) -> Plan | None:
    """Return what remains to be done for the hooks of a finished run, or None."""
    status = view.run.status
    outcomes = merged(status.hooks, filter(view.owns, view.records))
    if outcomes != status.hooks:
        return Plan(status=status.changed(hooks=outcomes))
    due = object_rules.pending_hooks(status)
    if not due:
        return None
    current = status.current
    if current is None:
        return _start(view, due, 1)
    pod = next((pod for pod in view.pods if pod.metadata.uid == current.pod_uid), None)
    if pod is not None and not _has_ended(view, pod):
        return _calling(view, due, pod)
    if pod is None and current.pod_uid not in view.gone:
        return Plan(actions=(ConfirmGone(current.pod_name, current.pod_uid),))
    if current.pod_name not in view.settled:
        # Pods and records have separate watches, so the outcomes may be seen long after the end of the pod.
        return Plan(actions=(ReadRecord(current.pod_name),))
    if not hooks.is_hook_pod(current.pod_name):
        return _start(view, due, 1)
    return _after_hook_pod(view, due, current, pod)


def _calling(view: View, due: tuple[str, ...], pod: Pod) -> Plan:
    """Let a pod call the hooks until its deadline, then end it."""
    if pod.is_released:
        return Plan(requeue_at=view.ended_at(pod) + view.settings.answer_grace)
    deadline = _deadline(view, pod)
    is_ending = pod.metadata.deletion_timestamp is not None or pod.metadata.annotations.ending_since is not None
    if view.now < deadline and not is_ending:
        return Plan(requeue_at=deadline)
    if pod.is_held and pod.is_force_deleted:
        return Plan(actions=(ReleasePod(pod),))
    step = pod_shutdown.next_step(pod, view.now, view.settings.answer_grace)
    if step.action is not None:
        return Plan(actions=(step.action,))
    if not step.is_lost:
        return Plan(requeue_at=step.due)
    given_up = (step.due or view.now) + timedelta(seconds=int(pod.metadata.annotations.node_lost_timeout))
    if view.now >= given_up:
        return _fail(view, due, f"pod {pod.metadata.name} on node {pod.spec.node_name} does not terminate")
    return Plan(requeue_at=given_up)


def _deadline(view: View, pod: Pod) -> datetime:
    """Return until when a pod may call hooks: one iteration timeout after the run finished or the pod started."""
    annotations, created = pod.metadata.annotations, pod.metadata.creation_timestamp
    if not pod.has_started:
        return created + timedelta(seconds=int(annotations.pending_timeout))
    since = max(view.started_at(pod), view.run.status.finished_at or created)
    return since + timedelta(seconds=int(annotations.iteration_timeout))


def _has_ended(view: View, pod: Pod) -> bool:
    """Return whether the pod can no longer call hooks, and it is known why."""
    if not pod.is_released:
        return False
    # Whether the node ended the pod is known only with the pod's phase, which follows a second or two later.
    is_known = pod.is_terminal or pod.task.terminated is None
    return is_known or view.now >= view.ended_at(pod) + view.settings.answer_grace


def _after_hook_pod(view: View, due: tuple[str, ...], current: Current, pod: Pod | None) -> Plan:
    """A hook pod has ended without an outcome: retry if the cluster ended it, otherwise the hooks have failed."""
    loss = f"pod {current.pod_name} was deleted"
    if pod is not None:
        disruption = failures.disruption_of(pod)
        if disruption is None:
            return _fail(view, due, failures.failure_of(pod).message)
        loss = disruption
    else:
        last = view.gone[current.pod_uid].last
        if last is not None and last.metadata.annotations.ending_since is not None:
            return _fail(view, due, failures.timeout(last).message)
        if last is not None and not last.has_started and last.pending_deadline <= view.now:
            return _fail(view, due, failures.pending_timeout(last).message)
    allowed = view.definition.spec.disruption_retries if view.definition else 0
    if current.try_ > allowed:
        return _fail(view, due, f"{loss}; {current.try_} pods were lost, and disruptionRetries allows {allowed}")
    return _start(view, due, current.try_ + 1)


def _start(view: View, due: tuple[str, ...], try_: int) -> Plan:
    status = view.run.status
    # Not the first one that is still due: a pod that no status names yet may have called that, and keeps its name.
    name = hooks.pod_name(view.run.metadata.name, status.hooks_due[0], try_)
    pod = next((pod for pod in view.pods if pod.metadata.name == name and view.owns(pod)), None)
    if pod is not None:
        holder = Current(0, try_, name, pod.metadata.uid)
        return Plan(status=status.changed(current=holder))
    if view.definition is None:
        return _wait_for_definition(view, due)
    refusal = view.refusal
    if refusal is not None and refusal.name == name and refusal.retry_at > view.now:
        seconds = view.definition.spec.pending_timeout_seconds
        given_up = refusal.since + timedelta(seconds=seconds)
        if view.now >= given_up:
            return _fail(view, due, f"no pod could be started within {seconds} s: {refusal.message}")
        is_idle = view.slot is not None and not admission.has_working_pod(view)
        return Plan((ReturnSlot(),) if is_idle else (), requeue_at=min(refusal.retry_at, given_up))
    if admission.has_to_queue(view):
        return _queue(view)
    target = Target(0, try_, name, status.last_record, None, is_final_attempt=True, hooks=due)
    return Plan(actions=(CreatePod(target),))


def _wait_for_definition(view: View, due: tuple[str, ...]) -> Plan:
    """Wait: without its definition, no pod can be created. The run is reconciled again when the definition exists."""
    given_up = (view.run.status.finished_at or view.now) + timedelta(seconds=admission.UNKNOWN_PENDING_TIMEOUT)
    if view.now >= given_up:
        message = f'TaskDefinition "{view.run.spec.definition}" no longer exists, so no pod can call the hook'
        return _fail(view, due, message)
    return Plan(requeue_at=given_up)


def _queue(view: View) -> Plan:
    """Wait for a slot; the run is reconciled again when it has one."""
    if admission.lacks_value(view):
        return Plan(actions=(ReadInput(),))
    return Plan(actions=(TakeSlot(admission.value_of(view)),)) if view.slot is None else Plan()


def _fail(view: View, due: tuple[str, ...], message: str) -> Plan:
    status = view.run.status
    words = limits.cut(message, limits.HOOK_MESSAGE_LENGTH)
    failed = (HookOutcome(hook, "Failed", words) for hook in due)
    return Plan(status=status.changed(hooks=(*status.hooks, *failed)))


def called_before(view: View) -> bool:
    """Return whether an earlier pod has called onBeforeTrigger without a refusal, so that it is not called again."""
    outcomes = merged(view.run.status.hooks, filter(view.owns, view.records))
    return any(outcome.name == hooks.ON_BEFORE_TRIGGER for outcome in outcomes)
