"""Why a pod ended without an answer, or does not start, in words for people. Pure functions over a pod."""

import signal
from dataclasses import dataclass
from typing import Final

from podrelay.api import limits, names, protocol
from podrelay.operator.planner import heartbeat
from podrelay.operator.pods import ContainerTerminated, Pod, PodCondition

POD_FAILURE: Final = "PodFailure"
TIMEOUT: Final = "Timeout"
ERROR: Final = "Error"

_WITHOUT_DELETION: Final = frozenset({"DeletionByPodGC", "TerminationByKubelet"})
"""Reasons of DisruptionTarget that say why a container ended; the others say why a pod was deleted."""
_KILLED: Final = frozenset({128 + signal.SIGTERM, 128 + signal.SIGKILL})

_NORMAL_WAITS = frozenset({"", "ContainerCreating", "PodInitializing"})
_KUBELET_DISRUPTIONS = frozenset(
    {
        "Evicted",
        "Preempting",
        "NodeShutdown",
        "Terminated",
        "Shutdown",
        "NodeAffinity",
        "NodeLost",
        "UnexpectedAdmissionError",
        "OutOfcpu",
        "OutOfmemory",
        "OutOfpods",
        "OutOfephemeral-storage",
    }
)
"""Reasons of pods that a kubelet failed for the node's sake (pkg/kubelet of Kubernetes 1.35), not for the task's."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a try failed: `cause` decides about a retry, `code` is for programs, `message` for people."""

    cause: str
    code: str
    message: str
    is_final: bool = False
    """Whether another try would end in the same way."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a pod does not start yet."""

    reason: str
    message: str


def disruption_of(pod: Pod) -> str | None:
    """Return in words why the cluster, not the task, ended this pod; None if it was not the cluster."""
    if _is_over_its_own_limit(pod):
        return None
    ended_by_deletion = _ended_by_deletion(pod)
    if pod.status.phase == "Failed":
        if pod.status.reason in _KUBELET_DISRUPTIONS:
            return f"pod {pod.metadata.name} was ended by its node: {pod.status.reason} {pod.status.message}".strip()
        for condition in pod.status.conditions:
            if _is_disruption(condition) and (ended_by_deletion is not False or condition.reason in _WITHOUT_DELETION):
                return f"pod {pod.metadata.name} was disrupted: {condition.reason} {condition.message}".strip()
        if _went_down_with_its_node(pod):
            return f"pod {pod.metadata.name} went down with its node {pod.spec.node_name}, which has come back"
    return f"pod {pod.metadata.name} was deleted" if ended_by_deletion else None


def _is_disruption(condition: PodCondition) -> bool:
    return condition.type == "DisruptionTarget" and condition.status == "True"


def _ended_by_deletion(pod: Pod) -> bool | None:
    """Tell whether the pod ended because somebody deleted it, not by itself before that; None: it was not deleted."""
    deleted = pod.metadata.deletion_requested_at
    if deleted is None:
        return None
    if pod.metadata.annotations.ending_since is not None:
        return False  # by our doing
    if not pod.has_started:
        return True
    terminated = pod.task.terminated
    if terminated is None or terminated.finished_at is None:
        return True
    # The node's clock may be wrong; who ended by SIGTERM or SIGKILL after a deletion ended by the deletion.
    was_killed = terminated.exit_code in _KILLED and terminated.reason != "OOMKilled"
    return terminated.finished_at >= deleted or was_killed


def _went_down_with_its_node(pod: Pod) -> bool:
    """Tell whether the node, back again, found no container and made its end up: nobody saw how it ended.

    The first name is containerd's, the second the kubelet's own.
    """
    terminated = pod.task.terminated
    is_ours = pod.status.reason or pod.metadata.annotations.ending_since is not None
    return terminated is not None and not is_ours and terminated.reason in {"Unknown", "ContainerStatusUnknown"}


def _is_over_its_own_limit(pod: Pod) -> bool:
    """Tell whether the kubelet evicted the pod for what it wrote to disk: for a node's sake it notes a disruption."""
    is_disrupted = any(map(_is_disruption, pod.status.conditions))
    # A pod that the kubelet refuses at its door has no containers. One that is evicted at once after its start may have
    # none that anybody saw running.
    return pod.status.reason == "Evicted" and bool(pod.status.container_statuses) and not is_disrupted


def waits_for_volumes(pod: Pod) -> bool:
    """Tell whether a node has the pod and its container is not made yet, which comes after volumes and network."""
    waiting = pod.task.waiting
    return bool(pod.spec.node_name) and waiting is not None and waiting.reason == "ContainerCreating"


def secret_missing(pod: Pod, secret: str) -> Problem:
    """Return what most likely keeps a pod with a Secret from starting; nobody but its kubelet may look."""
    return Problem(
        "SecretMissing",
        f"pod {pod.metadata.name} waits for its volumes: is there a Secret {secret} in this namespace, which "
        f"spec.secret names? Create it, and the pod goes on; kubectl describe pod {pod.metadata.name} tells more",
    )


def is_left_behind(pod: Pod) -> bool:
    """Tell whether the pod was declared failed for its node's absence, so that its containers may still run.

    A kubelet calls a pod failed after its containers have ended, Kubernetes' pod garbage collector whatever they do:
    with a condition where the node is gone, without one where it is tainted as out of service.
    """
    is_gone = any(_is_disruption(item) and item.reason == "DeletionByPodGC" for item in pod.status.conditions)
    return is_gone or (pod.is_terminal and pod.task.running is not None)


def failure_of(pod: Pod) -> Failure:
    """Return why this ended pod counts as a failed try."""
    annotations = pod.metadata.annotations
    terminated = pod.task.terminated
    if _is_over_its_own_limit(pod):
        message = f"pod {pod.metadata.name} was evicted: {pod.status.message}"
        return Failure(POD_FAILURE, "Evicted", limits.cut(message, limits.MESSAGE_LENGTH))
    if pod.status.reason == "DeadlineExceeded" or annotations.ending_since is not None:
        if terminated is None and not pod.has_started:
            return pending_timeout(pod)
        if annotations.ending_reason == protocol.UNSUPPORTED_RUNNER:
            return _unsupported(protocol.too_old_runner(pod.image))
        return timeout(pod)
    if terminated is None:
        message = (
            f"pod {pod.metadata.name} failed before its container {annotations.container} started: "
            f"{pod.status.reason} {pod.status.message}"
        ).rstrip(": ")
        return Failure(POD_FAILURE, pod.status.reason or "PodFailed", limits.cut(message, limits.MESSAGE_LENGTH))
    return _container_failure(pod, terminated)


def timeout(pod: Pod) -> Failure:
    """Return the failure of a pod that ran for too long, or for too long without a sign of life."""
    annotations = pod.metadata.annotations
    if annotations.ending_reason == heartbeat.ENDING_REASON:
        return Failure(
            TIMEOUT,
            heartbeat.ENDING_REASON,
            f"no sign of life for {annotations.heartbeat_timeout} s; let it call controller.heartbeat(), or raise "
            "heartbeatTimeoutSeconds",
        )
    seconds = annotations.iteration_timeout
    return Failure(
        TIMEOUT,
        "IterationTimeout",
        f"iteration timed out after {seconds} s; let it answer continue in time, or raise iterationTimeoutSeconds",
    )


def pending_timeout(pod: Pod, shown: Problem | None = None) -> Failure:
    """Return the failure of a pod that never started; `shown` is the problem that was seen before it ended."""
    problem = pending_problem(pod) or shown
    why = f": {problem.reason}: {problem.message}" if problem else ""
    return Failure(
        POD_FAILURE,
        problem.reason if problem else "PendingTimeout",
        limits.cut(
            f"pod did not start within {pod.metadata.annotations.pending_timeout} s{why}", limits.MESSAGE_LENGTH
        ),
    )


def pending_problem(pod: Pod) -> Problem | None:
    """Return what keeps the pod from starting, or None where it is just on its way."""
    for condition in pod.status.conditions:
        if condition.type == "PodScheduled" and condition.status == "False" and not _is_held_by_us(pod, condition):
            return Problem(condition.reason or "Unschedulable", condition.message)
    for status in (*pod.status.init_container_statuses, *pod.status.container_statuses):
        waiting = status.state.waiting
        if waiting is not None and waiting.reason not in _NORMAL_WAITS:
            return Problem(waiting.reason, f"container {status.name}: {waiting.message or waiting.reason}")
    return None


def _is_held_by_us(pod: Pod, condition: PodCondition) -> bool:
    """Whether only our own gate holds the pod, or has held it until a moment ago: the condition follows later."""
    others = any(gate.name != names.CLAIM_GATE for gate in pod.spec.scheduling_gates)
    return condition.reason == "SchedulingGated" and not others


def _container_failure(pod: Pod, terminated: ContainerTerminated) -> Failure:
    container, code = pod.metadata.annotations.container, terminated.exit_code
    if terminated.reason in {"ContainerCannotRun", "StartError"}:
        message = f"container {container} could not be started: {terminated.message}"
        return Failure(POD_FAILURE, terminated.reason, limits.cut(message, limits.MESSAGE_LENGTH))
    unsupported = None if pod.reports_by_message else protocol.words_of_farewell(terminated.message, code)
    if unsupported is not None:
        return _unsupported(f"container {container} refused to run (exit code {code}): {unsupported}")
    words = _words(pod, terminated)
    if terminated.reason == "OOMKilled" or code == 128 + signal.SIGKILL:
        # Whether the container's runtime sees the kernel's word of it is a matter of chance. Who deletes or ends a pod
        # is dealt with before, and few programs send themselves a SIGKILL.
        return _failed(
            "OOMKilled", f"container {container} was killed by SIGKILL (exit code {code}), {_memory(pod)}{words}"
        )
    if code > 128 or terminated.signal:
        number = terminated.signal or code - 128
        message = f"container {container} was killed by {_signal_name(number)} (exit code {code})"
        return _failed("Killed", message + words)
    if pod.reports_by_message:
        return _failed(f"ExitCode{code}", f"container {container} ended with exit code {code}{words}")
    message = f"container {container} ended with exit code {code} without an answer"
    if code == 0:
        message += "; is podrelay-runner its command? Other programs need spec.reporting: TerminationMessage"
    if code == names.EXIT_SUPERSEDED:
        message = f"container {container} refused to run (exit code {code}), but nothing has superseded it"
    return _failed(f"ExitCode{code}", message + words)


def _memory(pod: Pod) -> str:
    limit = pod.memory_limit
    return f"most likely out of memory; {f'limit {limit}' if limit else 'it has no limit, its node may be short of it'}"


def _unsupported(message: str) -> Failure:
    return Failure(POD_FAILURE, protocol.UNSUPPORTED_RUNNER, limits.cut(message, limits.MESSAGE_LENGTH), is_final=True)


def _failed(code: str, message: str) -> Failure:
    return Failure(POD_FAILURE, code, limits.cut(message, limits.MESSAGE_LENGTH))


def _words(pod: Pod, terminated: ContainerTerminated) -> str:
    """Return what the container said: all of its own message, but only the last of its log lines."""
    message = terminated.message.strip()
    if not message:
        return f"; see kubectl logs {pod.metadata.name}" if pod.reports_by_message else ""
    if pod.reports_by_message:
        return f": {message}"
    return limits.cut(f": {message.splitlines()[-1].strip()}", 1024)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
