"""A pod as the API server shows it: which reason counts, and when its container started and ended."""

from typing import Any

import msgspec
import pytest

from podrelay.gateway.pods import PodState


def pod(status: Any, **metadata: Any) -> PodState:
    """Return a pod with this status."""
    about = {"name": "words-i1", "creationTimestamp": "2026-11-24T10:00:00Z"} | metadata
    return msgspec.convert({"metadata": about, "spec": {}, "status": status}, PodState)


def ended(**terminated: Any) -> dict[str, Any]:
    times = {"startedAt": "2026-11-24T10:00:05Z", "finishedAt": "2026-11-24T10:00:09Z"}
    return {"name": "task", "restartCount": 2, "state": {"terminated": {"exitCode": 137, **times, **terminated}}}


@pytest.mark.parametrize(
    ("status", "reason", "message"),
    [
        ({}, None, None),
        ({"reason": "Evicted", "message": "the node was low on memory"}, "Evicted", "the node was low on memory"),
        (
            {
                "conditions": [
                    {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes"}
                ]
            },
            "Unschedulable",
            "0/3 nodes",
        ),
        ({"containerStatuses": [ended(reason="OOMKilled")]}, "OOMKilled", None),
        ({"containerStatuses": [{"name": "task", "state": {"running": {}}}]}, None, None),
        ({"containerStatuses": [{"name": "proxy", "state": {"waiting": {"reason": "x"}}}]}, None, None),
        ({"containerStatuses": None, "conditions": None}, None, None),
    ],
)
def test_the_reason_says_why_the_pod_does_not_run(status: Any, reason: str | None, message: str | None) -> None:
    found = pod(status)

    assert (found.reason, found.message) == (reason, message)


def test_a_container_that_has_ended_has_times_and_an_exit_code() -> None:
    found = pod({"containerStatuses": [ended()]})

    assert (found.exit_code, found.restarts, found.scheduled_at) == (137, 2, None)
    assert found.started_at is not None
    assert found.finished_at is not None
    assert (found.finished_at - found.started_at).total_seconds() == 4


def test_the_container_that_does_the_work_may_have_another_name() -> None:
    status = {"containerStatuses": [ended(), {"name": "main", "state": {"running": {}}}]}

    assert pod(status, annotations={"podrelay.dev/container": "main"}).exit_code is None
