"""startAt and delaySeconds, which may change until the run has started."""

from datetime import datetime
from typing import Any

from podrelay.operator.objects.runs import TaskRunStatus
from podrelay.operator.plan import CreatePod, ReturnSlot
from podrelay.operator.view import Slot
from tests.unit.operator.builders import NOW, ago, current, later, plan, pod, running, task_definition, task_run, view

DELAYED: dict[str, Any] = {"phase": "Pending", "reason": "Delayed", "nextIterationAt": later(3600)}


def next_at(status: dict[str, Any], **spec: Any) -> datetime | None:
    following = plan(view(task_run(status, **spec)), NOW)
    assert following.actions == ()
    assert following.status is not None
    assert following.requeue_at == following.status.next_iteration_at
    return following.status.next_iteration_at


def starts(status: dict[str, Any], **spec: Any) -> bool:
    actions = plan(view(task_run(status, **spec)), NOW).actions
    return len(actions) == 1 and isinstance(actions[0], CreatePod)


def test_a_delayed_run_starts_later() -> None:
    assert next_at(DELAYED, startAt=later(7200)) == later(7200)


def test_a_delayed_run_starts_earlier() -> None:
    assert next_at(DELAYED, startAt=later(60)) == later(60)


def test_a_delay_counts_from_the_creation_of_the_run() -> None:
    assert next_at(DELAYED, delaySeconds=100) == later(40)  # it was created a minute ago


def test_a_delayed_run_starts_at_once() -> None:
    assert starts(DELAYED)
    assert starts(DELAYED, startAt=ago(1))


def test_a_run_that_waits_for_a_slot_gives_its_place_away() -> None:
    queued = task_run({"phase": "Pending", "reason": "Queued", "queuePosition": 1}, startAt=later(60))
    following = plan(view(queued, task_definition(maxConcurrentRuns=1), slot=Slot(is_granted=False, place=1)), NOW)
    assert following.actions == (ReturnSlot(),)


def test_a_pause_before_a_retry_of_a_run_that_never_started_counts_as_well() -> None:
    lost = {**DELAYED, "reason": "Disrupted", "disruptions": 1}
    assert next_at(lost, startAt=later(60)) == later(3600)
    assert next_at(lost, startAt=later(7200)) == later(7200)


def test_a_run_that_has_started_waits_for_its_next_pod_only() -> None:
    waiting = {"phase": "Running", "startedAt": ago(60), "lastRecord": "words-i1", "nextIterationAt": ago(1)}
    status = plan(view(task_run(waiting, startAt=later(3600)), records=()), NOW).status
    assert status is None or status.reason != "Waiting"


def shown(status: dict[str, Any], **spec: Any) -> TaskRunStatus:
    following = plan(view(task_run(status, **spec), pods=(pod(state=running(), phase="Running"),)), NOW)
    assert following.status is not None
    return following.status


def test_a_change_after_the_pod_was_created_is_too_late_and_the_status_says_so() -> None:
    status = shown({"phase": "Pending"}, startAt=later(3600))

    assert (status.phase, status.started_at) == ("Running", NOW)
    assert status.message == (
        "iteration 1 of at most 50 in pod words-i1; it was rescheduled to 2026-03-01T13:00:00Z too late, when the pod "
        "had already been created"
    )


def test_it_says_so_as_long_as_the_first_iteration_runs() -> None:
    status = {"phase": "Running", "startedAt": ago(30), "iterations": 1, "current": current()}
    assert "too late" in (shown(status, startAt=later(3600)).message or "")


def test_clocks_that_differ_by_some_seconds_are_no_reason_to_say_so() -> None:
    assert "too late" not in (shown({"phase": "Pending"}, startAt=later(5)).message or "")
