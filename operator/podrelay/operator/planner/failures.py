"""Explains why a pod ended without an answer, or does not start. Pure functions over a pod."""

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
"""Reasons of DisruptionTarget that explain why a container ended; the others explain why a pod was deleted."""
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
"""Reasons of pods that a kubelet failed because of the node, not the task (pkg/kubelet of Kubernetes 1.35)."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an attempt failed: `cause` decides about a retry, `code` is for programs, `message` for users."""

    cause: str
    code: str
    message: str
    is_final: bool = False
    """Whether another attempt would fail in the same way."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a pod does not start yet."""

    reason: str
    message: str


def disruption_of(pod: Pod) -> str | None:
    """Return a message that says why the cluster, not the task, ended this pod; None if the cluster did not end it."""
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
    """Return whether the pod ended because of its deletion, not by itself before that; None if it was not deleted."""
    deleted = pod.metadata.deletion_requested_at
    if deleted is None:
        return None
    if pod.metadata.annotations.ending_since is not None:
        return False  # ended by the operator
    if not pod.has_started:
        return True
    terminated = pod.task.terminated
    if terminated is None or terminated.finished_at is None:
        return True
    # The node's clock may be wrong. A container killed by SIGTERM or SIGKILL after a deletion was ended by it.
    was_killed = terminated.exit_code in _KILLED and terminated.reason != "OOMKilled"
    return terminated.finished_at >= deleted or was_killed


def _went_down_with_its_node(pod: Pod) -> bool:
    """Return whether a restarted node no longer found the container, so that its reported end is a placeholder.

    The first of the two reasons is set by containerd, the second by the kubelet.
    """
    terminated = pod.task.terminated
    has_known_cause = pod.status.reason or pod.metadata.annotations.ending_since is not None
    return terminated is not None and not has_known_cause and terminated.reason in {"Unknown", "ContainerStatusUnknown"}


def _is_over_its_own_limit(pod: Pod) -> bool:
    """Return whether the pod was evicted for its own disk usage; an eviction for the node sets DisruptionTarget."""
    is_disrupted = any(map(_is_disruption, pod.status.conditions))
    # A pod that the kubelet does not admit has no container statuses. A pod that is evicted right after its start may
    # have some, although none of its containers was ever seen running.
    return pod.status.reason == "Evicted" and bool(pod.status.container_statuses) and not is_disrupted


def waits_for_volumes(pod: Pod) -> bool:
    """Return whether the pod is on a node and its container is not created yet, which follows volumes and network."""
    waiting = pod.task.waiting
    return bool(pod.spec.node_name) and waiting is not None and waiting.reason == "ContainerCreating"


def secret_missing(pod: Pod, secret: str) -> Problem:
    """Return what most likely keeps a pod with a Secret from starting; only the kubelet is allowed to read it."""
    return Problem(
        "SecretMissing",
        f"pod {pod.metadata.name} waits for its volumes; if Secret {secret}, which spec.secret names, does not "
        f"exist in this namespace, create it, and the pod starts; see kubectl describe pod {pod.metadata.name}",
    )


def is_left_behind(pod: Pod) -> bool:
    """Return whether the pod was marked failed because its node is lost, so that its containers may still run.

    A kubelet marks a pod failed after its containers have ended. The pod garbage collector of Kubernetes does so
    regardless: with a condition if the node was deleted, without one if the node has the out-of-service taint.
    """
    is_gone = any(_is_disruption(item) and item.reason == "DeletionByPodGC" for item in pod.status.conditions)
    return is_gone or (pod.is_terminal and pod.task.running is not None)


def failure_of(pod: Pod) -> Failure:
    """Return why this ended pod counts as a failed attempt."""
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
    """Return the failure of a pod that ran for too long, or for too long without a heartbeat."""
    annotations = pod.metadata.annotations
    if annotations.ending_reason == heartbeat.ENDING_REASON:
        return Failure(
            TIMEOUT,
            heartbeat.ENDING_REASON,
            f"no heartbeat for {annotations.heartbeat_timeout} s; call controller.heartbeat() more often, or raise "
            "heartbeatTimeoutSeconds",
        )
    seconds = annotations.iteration_timeout
    return Failure(
        TIMEOUT,
        "IterationTimeout",
        f"iteration timed out after {seconds} s; answer continue before that, or raise iterationTimeoutSeconds",
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
    """Return what keeps the pod from starting, or None if it is starting normally."""
    for condition in pod.status.conditions:
        if condition.type == "PodScheduled" and condition.status == "False" and not _is_claim_gated(pod, condition):
            return Problem(condition.reason or "Unschedulable", condition.message)
    for status in (*pod.status.init_container_statuses, *pod.status.container_statuses):
        waiting = status.state.waiting
        if waiting is not None and waiting.reason not in _NORMAL_WAITS:
            return Problem(waiting.reason, f"container {status.name}: {waiting.message or waiting.reason}")
    return None


def _is_claim_gated(pod: Pod, condition: PodCondition) -> bool:
    """Whether only Podrelay's gate holds the pod, or did until just now: the condition is updated later."""
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
        # Whether the container runtime notices that the kernel killed the process is a matter of chance. Deletions are
        # handled before this, and few programs send themselves a SIGKILL.
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
    advice = f"limit {limit}" if limit else "it has no limit, and its node may be short of memory"
    return f"most likely out of memory; {advice}"


def _unsupported(message: str) -> Failure:
    return Failure(POD_FAILURE, protocol.UNSUPPORTED_RUNNER, limits.cut(message, limits.MESSAGE_LENGTH), is_final=True)


def _failed(code: str, message: str) -> Failure:
    return Failure(POD_FAILURE, code, limits.cut(message, limits.MESSAGE_LENGTH))


def _words(pod: Pod, terminated: ContainerTerminated) -> str:
    """Return the end of the failure message: the container's whole own message, or the last line of its log."""
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
