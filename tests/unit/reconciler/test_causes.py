"""Why a pod ended, in words."""

from typing import Any

import pytest

from podrelay.reconciler import causes
from tests.support.views import pod, terminated


@pytest.mark.parametrize(
    ("state", "cause", "code", "words"),
    [
        (terminated(137, reason="OOMKilled"), "PodFailure", "OOMKilled", "more memory than its limit"),
        (terminated(137), "PodFailure", "Killed", "killed by SIGKILL (exit code 137)"),
        (terminated(139, message="a\nlast line\n"), "PodFailure", "Killed", "SIGSEGV (exit code 139): last line"),
        (terminated(3), "PodFailure", "ExitCode3", "ended with exit code 3 without an answer"),
        (terminated(0), "PodFailure", "ExitCode0", "is podrelay-runner its command?"),
        (terminated(75), "PodFailure", "ExitCode75", "nothing has superseded it"),
        (terminated(128, reason="StartError", message="no such file"), "PodFailure", "StartError", "no such file"),
    ],
)
def test_failures_of_containers(state: dict[str, Any], cause: str, code: str, words: str) -> None:
    failure = causes.failure_of(pod(state=state, phase="Failed"))

    assert (failure.cause, failure.code) == (cause, code)
    assert words in failure.message


def test_a_pod_that_the_kubelet_ended_for_its_deadline_has_timed_out() -> None:
    failure = causes.failure_of(pod(state=terminated(137), phase="Failed", reason="DeadlineExceeded"))

    assert (failure.cause, failure.code) == ("Timeout", "IterationTimeout")
    assert "after 900 s" in failure.message


def test_a_pod_that_never_started_tells_what_kept_it() -> None:
    shown = causes.Problem("ErrImagePull", "no such image")

    failure = causes.pending_timeout(pod(), shown)

    assert failure.code == "ErrImagePull"
    assert failure.message == "pod did not start within 900 s: ErrImagePull: no such image"


@pytest.mark.parametrize(
    ("status", "is_disruption", "is_left_behind"),
    [
        ({"phase": "Failed", "reason": "Evicted"}, True, False),
        ({"phase": "Failed", "reason": "OutOfcpu"}, True, False),
        ({"phase": "Failed", "reason": "DeadlineExceeded"}, False, False),
        (
            {
                "phase": "Failed",
                "conditions": [{"type": "DisruptionTarget", "status": "True", "reason": "DeletionByPodGC"}],
            },
            True,
            True,
        ),
        ({"phase": "Running", "reason": "Evicted"}, False, False),
    ],
)
def test_disruptions(status: dict[str, Any], is_disruption: bool, is_left_behind: bool) -> None:
    ended = pod(state=terminated(137), **status)

    assert (causes.disruption_of(ended) is not None) is is_disruption
    assert causes.is_left_behind(ended) is is_left_behind


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}]}, "Unschedulable"),
        ({"state": {"waiting": {"reason": "ImagePullBackOff"}}, "phase": "Pending"}, "ImagePullBackOff"),
        ({"state": {"waiting": {"reason": "ContainerCreating"}}, "phase": "Pending"}, None),
        (
            {"initContainerStatuses": [{"name": "init", "state": {"waiting": {"reason": "CrashLoopBackOff"}}}]},
            "CrashLoopBackOff",
        ),
        ({}, None),
    ],
)
def test_what_keeps_a_pod_from_starting(fields: dict[str, Any], reason: str | None) -> None:
    problem = causes.pending_problem(pod(**fields))

    assert (problem.reason if problem else None) == reason
