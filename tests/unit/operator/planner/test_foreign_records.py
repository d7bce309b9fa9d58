"""An answer only counts if the run has had its pod, regardless of what admission has accepted."""

from typing import Any

import pytest
from msgspec.structs import replace as changed

from podrelay.operator.plan import ConfirmGone
from podrelay.operator.view import Gone, View
from tests.unit.operator.builders import NOW, ago, current, later, plan, pod, record, running, task_run, view

FORGED: dict[str, Any] = {"status": "done", "output": {"forged": True}}
UID = "uid-of-a-foreign-pod"


def seen(status: dict[str, Any] | None = None, uid: str = UID, **rest: Any) -> View:
    """A run with an answer of a pod with this UID, which a live read has not found."""
    rest.setdefault("gone", {uid: Gone(NOW, None, is_last_state=False)})
    return view(task_run(status or {}), records=(record(response=FORGED, pod_uid=uid),), **rest)


def test_a_live_read_checks_first_whether_the_pod_exists() -> None:
    assert plan(seen(gone={}), NOW).actions == (ConfirmGone("words-i1", UID),)


@pytest.mark.parametrize(
    ("status", "pods"),
    [
        ({}, ()),
        ({"phase": "Pending", "reason": "Delayed"}, ()),
        ({"phase": "Running", "startedAt": ago(60), "current": current()}, (pod(state=running(), phase="Running"),)),
    ],
    ids=["before its pod", "while it waits", "next to its pod"],
)
def test_an_answer_of_a_pod_that_the_run_never_had_does_not_count(status: dict[str, Any], pods: Any) -> None:
    following = plan(seen(status, pods=pods), NOW)

    assert following.actions == ()
    assert following.status is not None
    assert following.status.reason == "ForeignRecord"
    assert following.status.phase != "Succeeded"
    assert following.status.message == (
        f"TaskIteration words-i1 has the answer of a pod with the UID {UID}, which this run has never had; find out "
        "which client wrote it, and delete it"
    )


def test_the_wait_for_it_is_limited() -> None:
    following = plan(seen(), NOW)
    assert following.status is not None
    assert following.requeue_at == later(900)
    stalled = view(changed(task_run(), status=following.status), records=seen().records, gone=seen().gone)

    ended = plan(stalled, later(900)).status

    assert ended is not None
    assert (ended.phase, ended.reason) == ("Failed", "ForeignRecord")


@pytest.mark.parametrize(
    "known",
    [
        {"status": {"phase": "Running", "startedAt": ago(60), "current": current()}},
        {"gone": {"uid-words-i1": Gone(NOW, pod(state=running(), phase="Running"), is_last_state=False)}},
        {"pods": (pod(state={"terminated": {"exitCode": 0, "finishedAt": ago(1)}}, phase="Succeeded"),)},
    ],
    ids=["named by the status", "seen before its deletion", "existing"],
)
def test_the_answer_of_a_pod_of_the_run_counts(known: dict[str, Any]) -> None:
    following = plan(seen(uid="uid-words-i1", **known), NOW)

    assert following.status is not None
    assert following.status.phase == "Succeeded"
