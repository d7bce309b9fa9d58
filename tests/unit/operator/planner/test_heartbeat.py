"""A pod that must send heartbeats, and sends none."""

from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from podrelay.api import names
from podrelay.operator.plan import ConfirmSilent, DeletePod, EndPod, Plan, WriteRecord
from podrelay.operator.view import Gone, Heartbeat, Sightings, Silence, View
from tests.unit.operator.builders import (
    NOW,
    ago,
    current,
    later,
    plan,
    pod,
    record,
    running,
    task_run,
    terminated,
    view,
)

RUNNING: dict[str, Any] = {"phase": "Running", "startedAt": ago(60), "iterations": 1, "current": current()}
HEARTBEAT = {names.ANNOTATION_HEARTBEAT_TIMEOUT: "30"}
ENDING = {
    **HEARTBEAT,
    names.ANNOTATION_ENDING_SINCE: NOW.isoformat(),
    names.ANNOTATION_ENDING_REASON: "HeartbeatTimeout",
}
GRACE = 10


def working(heartbeat_at: datetime | None = None, annotations: dict[str, str] = HEARTBEAT, **rest: Any) -> View:
    """A run whose pod was seen to start 20 s ago, and whose last heartbeat was seen when its clock says."""
    live = pod(state=running(ago(20)), phase="Running", annotations=annotations)
    rest.setdefault("sightings", {live.metadata.uid: Sightings(started=ago(20))})
    rest.setdefault("heartbeat", Heartbeat("words-i1", heartbeat_at, heartbeat_at) if heartbeat_at else None)
    return view(task_run(RUNNING), pods=(live,), records=(record(heartbeatAt=heartbeat_at),), **rest)


def action_of(following: Plan) -> Any:
    (action,) = following.actions
    return action


@pytest.mark.parametrize(
    ("heartbeat_at", "deadline"),
    [(None, later(10)), (ago(40), later(10)), (NOW, later(30)), (later(500), later(530))],
    ids=["none", "one before the start", "one", "one by a fast clock"],
)
def test_a_heartbeat_must_arrive_within_the_timeout_after_the_start_or_the_last_one(
    heartbeat_at: datetime | None, deadline: datetime
) -> None:
    live = working(heartbeat_at)

    before = plan(live, deadline - timedelta(seconds=1))
    assert before.actions == ()
    assert before.requeue_at == deadline
    assert action_of(plan(live, deadline)) == ConfirmSilent("words-i1", heartbeat_at)


@pytest.mark.parametrize("reported", [ago(500), later(500)], ids=["slow", "fast"])
def test_a_heartbeat_counts_from_when_it_was_seen_regardless_of_the_clock_of_its_node(reported: datetime) -> None:
    live = working(reported, heartbeat=Heartbeat("words-i1", reported, NOW))

    assert plan(live, later(29)).requeue_at == later(30)
    assert action_of(plan(live, later(30))) == ConfirmSilent("words-i1", reported)


def test_the_iteration_timeout_also_applies() -> None:
    live = working(later(860))

    assert plan(live, later(869)).requeue_at == later(880)
    assert action_of(plan(live, later(880))) == EndPod(live.pods[0])


def test_a_silent_pod_has_ten_more_seconds_and_is_read_again() -> None:
    live = working(silence=Silence("words-i1", None, later(12), later(12)))

    waits = plan(live, later(12 + GRACE - 1))

    assert waits.status is not None
    assert (waits.actions, waits.status.reason, waits.requeue_at) == ((), "IterationRunning", later(12 + GRACE))
    assert action_of(plan(live, later(12 + GRACE))) == ConfirmSilent("words-i1", None)
    again = working(silence=Silence("words-i1", None, later(12), later(12 + GRACE)))
    assert action_of(plan(again, later(12 + GRACE + 1))) == EndPod(again.pods[0], "HeartbeatTimeout")


@pytest.mark.parametrize(
    "silence",
    [Silence("words-i1", None, ago(500), ago(500)), Silence("words-i2", ago(10), ago(500), ago(500))],
)
def test_an_old_read_does_not_count(silence: Silence) -> None:
    assert action_of(plan(working(ago(10), silence=silence), later(25))) == ConfirmSilent("words-i1", ago(10))


def test_without_the_timeout_no_heartbeats_are_expected() -> None:
    assert plan(working(annotations={}), later(500)).requeue_at == later(880)


def test_heartbeats_are_not_written_to_the_status() -> None:
    before = working(NOW)
    shown = plan(before, NOW).status
    assert shown is not None
    written = msgspec.structs.replace(before.run, status=shown)

    assert plan(replace(working(later(5)), run=written), later(5)).status == shown


def test_a_pod_that_is_being_ended_is_ended_despite_a_new_heartbeat() -> None:
    live = working(later(60), ENDING)

    shown = plan(live, later(1)).status
    assert shown is not None
    assert shown.reason == "PodEnding"
    assert action_of(plan(live, later(90))) == DeletePod("words-i1", "uid-words-i1")


@pytest.mark.parametrize("gone", [False, True])
def test_it_fails_with_a_message_and_counts_as_a_timeout(gone: bool) -> None:
    ended = pod(phase="Failed", state=terminated(143), annotations=ENDING)
    if gone:
        is_gone = {ended.metadata.uid: Gone(NOW, ended, is_last_state=True)}
        left = view(task_run(RUNNING), records=(record(),), gone=is_gone)
    else:
        left = view(task_run(RUNNING), pods=(ended,), records=(record(),))

    action = action_of(plan(left, NOW))

    assert isinstance(action, WriteRecord)
    assert action.cause == "Timeout"
    assert action.response.error is not None
    assert action.response.error.code == "HeartbeatTimeout"
    assert action.response.error.message.startswith("no heartbeat for 30 s")


def test_its_answer_in_the_meantime_counts() -> None:
    ended = pod(phase="Failed", state=terminated(143), annotations=ENDING)
    answered = view(task_run(RUNNING), pods=(ended,), records=(record(response={"status": "done"}),))

    status = plan(answered, NOW).status

    assert status is not None
    assert status.phase == "Succeeded"
