"""Why a pod ended without an answer, or does not start: a table."""

from typing import Any

import msgspec
import pytest

from podrelay.api import names
from podrelay.operator.planner import failures
from podrelay.operator.pods import Pod, PodSpec, SchedulingGate
from tests.unit.operator.builders import later, pod, running, terminated, waiting

UNSEEN = {"terminated": {"exitCode": 137, "reason": "ContainerStatusUnknown"}}
"""A container that had ended before its kubelet saw it run."""


def failed(code: int, **fields: Any) -> Pod:
    return pod(phase="Failed", state=terminated(code, **fields))


def disruption(reason: str, status: str = "True") -> dict[str, Any]:
    return {"conditions": [{"type": "DisruptionTarget", "status": status, "reason": reason, "message": "bye"}]}


def limited(ended: Pod, memory: str) -> Pod:
    """Its container has a limit, its sidecar another one."""
    containers = ({"name": "sidecar", "resources": {"limits": {"memory": "1Gi"}}}, {"name": "bare"})
    own = {"name": "task", "resources": {"limits": {"memory": memory}}}
    spec = msgspec.convert({"containers": [*containers, own]}, PodSpec)
    return msgspec.structs.replace(ended, spec=spec)


OUT_OF_MEMORY = (
    "killed by SIGKILL (exit code 137), most likely out of memory; it has no limit, and its node may be short of memory"
)


@pytest.mark.parametrize(
    ("ended", "cause", "code", "words"),
    [
        (failed(137, reason="OOMKilled"), "PodFailure", "OOMKilled", OUT_OF_MEMORY),
        (failed(137), "PodFailure", "OOMKilled", OUT_OF_MEMORY),
        (limited(failed(137), "20Mi"), "PodFailure", "OOMKilled", "most likely out of memory; limit 20Mi"),
        (limited(failed(137, reason="OOMKilled"), "20Mi"), "PodFailure", "OOMKilled", "out of memory; limit 20Mi"),
        (failed(143), "PodFailure", "Killed", "SIGTERM (exit code 143)"),
        (failed(0, signal=11), "PodFailure", "Killed", "SIGSEGV"),
        (failed(255), "PodFailure", "Killed", "signal 127 (exit code 255)"),
        (failed(1), "PodFailure", "ExitCode1", "ended with exit code 1 without an answer"),
        (failed(1, message="Traceback\nValueError: odd\n"), "PodFailure", "ExitCode1", ": ValueError: odd"),
        (failed(0), "PodFailure", "ExitCode0", "is podrelay-runner its command?"),
        (failed(75), "PodFailure", "ExitCode75", "nothing has superseded it"),
        (failed(128, reason="StartError", message="no such file"), "PodFailure", "StartError", "no such file"),
        (failed(127, reason="ContainerCannotRun", message="denied"), "PodFailure", "ContainerCannotRun", "denied"),
        (
            pod(phase="Failed", reason="DeadlineExceeded", state=terminated(137)),
            "Timeout",
            "IterationTimeout",
            "iteration timed out after 900 s",
        ),
        (
            pod(phase="Failed", state=terminated(1), annotations={"podrelay.dev/ending-since": later(0).isoformat()}),
            "Timeout",
            "IterationTimeout",
            "iteration timed out after 900 s",
        ),
        (
            pod(
                phase="Failed",
                state=terminated(143),
                annotations={
                    names.ANNOTATION_ENDING_SINCE: later(0).isoformat(),
                    names.ANNOTATION_ENDING_REASON: "HeartbeatTimeout",
                    names.ANNOTATION_HEARTBEAT_TIMEOUT: "30",
                },
            ),
            "Timeout",
            "HeartbeatTimeout",
            "no heartbeat for 30 s",
        ),
        (
            pod(phase="Failed", reason="DeadlineExceeded", state=waiting("ImagePullBackOff", "not found")),
            "PodFailure",
            "ImagePullBackOff",
            "did not start within 900 s: ImagePullBackOff: container task: not found",
        ),
        (
            pod(phase="Failed", reason="Evicted", message="Usage exceeds the limit 1Mi.", state=terminated(137)),
            "PodFailure",
            "Evicted",
            "pod words-i1 was evicted: Usage exceeds the limit 1Mi.",
        ),
        (pod(phase="Failed", reason="Odd", message="words"), "PodFailure", "Odd", "before its container task started"),
        (pod(phase="Failed"), "PodFailure", "PodFailed", "before its container task started"),
    ],
)
def test_a_failure_has_a_message(ended: Pod, cause: str, code: str, words: str) -> None:
    failure = failures.failure_of(ended)

    assert (failure.cause, failure.code) == (cause, code)
    assert words in failure.message


@pytest.mark.parametrize(
    "ended",
    [
        failed(1, message="x" * 100_000),
        failed(1, reason="StartError", message="x" * 100_000),
        pod(phase="Failed", reason="Odd", message="x" * 100_000),
        pod(phase="Failed", reason="Evicted", message="x" * 100_000, state=terminated(137)),
        pod(phase="Failed", reason="DeadlineExceeded", state=waiting("ErrImagePull", "x" * 100_000)),
    ],
)
def test_no_message_is_longer_than_a_record_can_hold(ended: Pod) -> None:
    assert len(failures.failure_of(ended).message) <= 4096


@pytest.mark.parametrize(
    "ended",
    [
        pod(phase="Failed", reason="Evicted", message="The node had condition: [DiskPressure]."),
        pod(phase="Failed", reason="Evicted", state=terminated(137), **disruption("TerminationByKubelet")),
        failed(255, reason="Unknown"),
        failed(137, reason="ContainerStatusUnknown"),
        pod(phase="Failed", reason="NodeShutdown"),
        pod(phase="Failed", reason="Preempting"),
        pod(phase="Failed", reason="OutOfcpu"),
        pod(phase="Failed", state=terminated(137), **disruption("TerminationByKubelet")),
        pod(phase="Failed", state=running(), **disruption("DeletionByPodGC")),
    ],
)
def test_an_end_caused_by_the_cluster_is_a_disruption(ended: Pod) -> None:
    assert failures.disruption_of(ended) is not None


@pytest.mark.parametrize(
    "ended",
    [
        failed(1),
        failed(255),
        pod(phase="Failed", reason="DeadlineExceeded", state=terminated(255, reason="Unknown")),
        pod(
            phase="Failed",
            state=terminated(255, reason="Unknown"),
            annotations={"podrelay.dev/ending-since": later(0).isoformat()},
        ),
        pod(phase="Failed", reason="Evicted", message="Usage exceeds the limit 1Mi.", state=terminated(137)),
        pod(phase="Failed", reason="Evicted", message="Usage exceeds the limit 1Mi.", state=UNSEEN),
        pod(phase="Running", state=running(), **disruption("EvictionByEvictionAPI")),
        pod(phase="Failed", state=terminated(1), **disruption("EvictionByEvictionAPI", "False")),
        pod(phase="Succeeded", state=terminated(0)),
    ],
)
def test_an_end_caused_by_the_task_is_not_a_disruption(ended: Pod) -> None:
    assert failures.disruption_of(ended) is None


def test_only_a_pod_that_the_garbage_collector_failed_may_still_run() -> None:
    assert failures.is_left_behind(pod(phase="Failed", **disruption("DeletionByPodGC")))
    assert failures.is_left_behind(pod(phase="Failed", state=running()))  # its node is tainted as out of service
    assert not failures.is_left_behind(failed(137))
    assert not failures.is_left_behind(pod(phase="Failed", **disruption("TerminationByKubelet")))


@pytest.mark.parametrize("reason", ["ContainerCreating", "PodInitializing"])
def test_a_starting_pod_has_no_problem(reason: str) -> None:
    assert failures.pending_problem(pod(state=waiting(reason))) is None
    assert failures.pending_problem(pod()) is None


def test_an_unschedulable_pod_is_a_problem() -> None:
    unschedulable = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes"}

    assert failures.pending_problem(pod(conditions=[unschedulable])) == failures.Problem("Unschedulable", "0/3 nodes")


def test_an_image_that_cannot_be_pulled_is_a_problem() -> None:
    problem = failures.pending_problem(pod(state=waiting("ErrImagePull", "no such tag")))

    assert problem == failures.Problem("ErrImagePull", "container task: no such tag")


def test_the_problem_of_an_init_container_counts_too() -> None:
    init = [{"name": "setup", "state": waiting("CrashLoopBackOff")}]

    problem = failures.pending_problem(pod(initContainerStatuses=init))

    assert problem == failures.Problem("CrashLoopBackOff", "container setup: CrashLoopBackOff")


def test_a_pod_that_vanished_before_it_started_keeps_the_problem_that_was_shown() -> None:
    failure = failures.pending_timeout(pod(), failures.Problem("Unschedulable", "0/3 nodes"))

    assert failure.code == "Unschedulable"
    assert "0/3 nodes" in failure.message
    assert failures.pending_timeout(pod()).code == "PendingTimeout"


@pytest.mark.parametrize(
    ("gates", "is_shown"),
    [((), False), (("podrelay.dev/claim",), False), (("podrelay.dev/claim", "quota.dev/gate"), True)],
    ids=["just removed", "Podrelay's", "a foreign one too"],
)
def test_the_claim_gate_is_not_a_problem(gates: tuple[str, ...], is_shown: bool) -> None:
    gated = {"type": "PodScheduled", "status": "False", "reason": "SchedulingGated", "message": "gates: ..."}
    held = msgspec.structs.replace(
        pod(conditions=[gated]), spec=PodSpec(scheduling_gates=tuple(SchedulingGate(gate) for gate in gates))
    )

    assert (failures.pending_problem(held) is not None) == is_shown
