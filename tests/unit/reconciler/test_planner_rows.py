"""The rows of the state table, one by one: given what is known, then what follows."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from podrelay.reconciler.planner import plan
from podrelay.reconciler.view import (
    ConfirmGone,
    CreatePod,
    DeletePod,
    DeleteRun,
    EndPod,
    Gone,
    Plan,
    Settings,
    StartFailure,
    View,
    WriteRecord,
)
from tests.support.views import (
    NOW,
    at,
    current,
    pod,
    record,
    running,
    task_definition,
    task_run,
    terminated,
    view,
)


def shown(planned: Plan) -> tuple[Any, Any]:
    assert planned.status is not None
    return planned.status.phase, planned.status.reason


def condition(planned: Plan, kind: str) -> str:
    assert planned.status is not None
    found = planned.status.condition(kind)
    assert found is not None
    return found.status


# --- beginning -------------------------------------------------------------------------------------------------------


def test_a_new_run_gets_its_first_pod() -> None:
    planned = plan(view(task_run()), NOW)

    (action,) = planned.actions
    assert isinstance(action, CreatePod)
    assert (action.target.name, action.target.iteration, action.target.try_) == ("run-i1", 1, 1)


def test_a_pod_that_was_made_is_taken_into_the_status() -> None:
    planned = plan(view(task_run(), pod()), NOW)

    assert planned.actions == ()
    assert shown(planned) == ("Running", "IterationRunning")
    assert planned.status is not None
    assert planned.status.current is not None
    assert planned.status.current.pod_uid == "uid-of-run-i1"


def test_nothing_to_do_is_an_empty_plan() -> None:
    first = plan(view(task_run(), pod(state=running())), NOW)
    settled = replace_status(view(task_run(), pod(state=running())), first)

    again = plan(settled, NOW)

    assert again.actions == ()
    assert again.status == settled.run.status
    assert again.requeue_at == at(-10) + timedelta(seconds=900)


def replace_status(before: View, planned: Plan) -> View:
    import msgspec

    return replace(before, run=msgspec.structs.replace(before.run, status=planned.status))


@pytest.mark.parametrize(("spec", "due"), [({"delaySeconds": 90}, 30), ({"startAt": at(45)}, 45)])
def test_a_delayed_run_waits(spec: dict[str, Any], due: float) -> None:
    planned = plan(view(task_run(**spec)), NOW)

    assert shown(planned) == ("Pending", "Delayed")
    assert planned.requeue_at == at(due)
    assert plan(view(task_run(**spec)), at(due)).actions != ()


def test_a_suspended_run_starts_nothing() -> None:
    planned = plan(view(task_run(suspend=True)), NOW)

    assert shown(planned) == ("Pending", "Suspended")
    assert planned.actions == ()


def test_a_run_without_its_definition_is_stalled_and_fails_in_the_end() -> None:
    known = replace(view(task_run()), definition=None)

    stalled = plan(known, NOW)
    later = plan(replace_status(known, stalled), at(900))

    assert shown(stalled) == ("Pending", "DefinitionNotFound")
    assert condition(stalled, "Stalled") == "True"
    assert condition(stalled, "Reconciling") == "False"
    assert stalled.requeue_at == at(900)
    assert shown(later) == ("Failed", "DefinitionNotFound")


def test_a_refused_pod_is_tried_again_and_fails_in_the_end() -> None:
    failure = StartFailure("run-i1", "QuotaExceeded", "exceeded quota: pods", at(-5), at(5))
    known = view(task_run(), start_failure=failure)

    stalled = plan(known, NOW)

    assert shown(stalled) == ("Pending", "QuotaExceeded")
    assert stalled.requeue_at == at(5)
    assert plan(known, at(6)).actions != ()
    late = replace(known, start_failure=replace(failure, since=at(-900), retry_at=at(60)))
    assert shown(plan(late, NOW)) == ("Failed", "QuotaExceeded")


def test_a_name_that_somebody_else_holds_is_shown() -> None:
    foreign = record(meta={"ownerReferences": []})

    assert shown(plan(view(task_run(), foreign), NOW)) == ("Pending", "NameTaken")


# --- answers ---------------------------------------------------------------------------------------------------------


def answered(response: dict[str, Any], **spec: Any) -> View:
    return view(
        task_run(current()), pod(state=terminated()), record(response=response), definition=task_definition(**spec)
    )


def test_done_succeeds_with_the_records_output() -> None:
    planned = plan(answered({"status": "done", "message": "imported", "output": {}}), NOW)

    assert shown(planned) == ("Succeeded", "Done")
    assert planned.payload_from == "run-i1"
    assert condition(planned, "Succeeded") == "True"
    assert planned.status is not None
    assert (planned.status.message, planned.status.iterations, planned.status.finished_at) == ("imported", 1, NOW)


def test_an_answer_waits_for_the_end_of_its_container() -> None:
    known = view(task_run(current()), pod(state=running()), record(response={"status": "done"}))

    planned = plan(known, NOW)

    assert shown(planned) == ("Running", "IterationRunning")
    assert planned.requeue_at == at(28)
    assert isinstance(plan(known, at(28)).actions[0], EndPod)


def test_continue_makes_the_next_pod_before_it_writes_the_status() -> None:
    known = answered({"status": "continue", "input": {}})

    first = plan(known, NOW)
    second = plan(replace(known, pods=(*known.pods, pod("run-i2"))), NOW)

    assert isinstance(first.actions[0], CreatePod)
    assert (first.actions[0].target.name, first.actions[0].target.state) == ("run-i2", "run-i1")
    assert second.status is not None
    assert second.status.last_record == "run-i1"
    assert second.status.current is not None
    assert second.status.current.pod_name == "run-i2"


def test_continue_with_a_wait_says_until_when() -> None:
    planned = plan(answered({"status": "continue", "input": {}, "waitSeconds": 60}), NOW)

    assert shown(planned) == ("Running", "Waiting")
    assert planned.requeue_at == at(58)


def test_a_wait_is_clamped_to_355_days() -> None:
    planned = plan(answered({"status": "continue", "input": {}, "waitUntil": at(10**9)}), NOW)

    assert planned.requeue_at == at(-2) + timedelta(days=355)


def test_continue_beyond_max_iterations_fails() -> None:
    planned = plan(answered({"status": "continue", "input": {}}, maxIterations=1), NOW)

    assert shown(planned) == ("Failed", "MaxIterations")
    assert planned.status is not None
    assert planned.status.error is not None
    assert planned.status.error.message == "Task reached max iterations."


def test_an_error_fails_without_retries() -> None:
    planned = plan(answered({"status": "error", "error": {"message": "no luck", "code": "Luck"}}), NOW)

    assert shown(planned) == ("Failed", "TaskFailed")
    assert planned.status is not None
    assert planned.status.message == "no luck"


def test_an_error_is_tried_again_with_growing_pauses_and_the_last_attempt_is_known() -> None:
    retry = {"limit": 2, "initialSeconds": 10, "factor": 3}
    error = {"status": "error", "error": {"message": "no luck"}}
    definition = task_definition(retry=retry)

    first = plan(replace(answered(error), definition=definition), NOW)
    status = current("run-i1t2", attempt=2) | {"attempts": 1}
    again = view(
        task_run(status),
        pod("run-i1t2", terminated()),
        record(response=error),
        record("run-i1t2", error),
        definition=definition,
    )
    second = plan(again, NOW)
    due = plan(replace_status(again, second), at(60))

    assert shown(first) == ("Running", "Retrying")
    assert first.requeue_at == at(-2 + 10)
    assert second.requeue_at == at(-2 + 30)
    (action,) = due.actions
    assert isinstance(action, CreatePod)
    assert (action.target.name, action.target.is_final_attempt) == ("run-i1t3", True)


def test_a_cause_that_is_not_listed_is_not_tried_again() -> None:
    definition = task_definition(retry={"limit": 5, "on": ["Timeout"]})
    known = replace(answered({"status": "error", "error": {"message": "no luck"}}), definition=definition)

    assert shown(plan(known, NOW)) == ("Failed", "TaskFailed")


def test_a_retry_starts_from_the_newest_checkpoint() -> None:
    status = current("run-i1t2", attempt=2) | {"attempts": 2, "current": None}
    known = view(
        task_run(status),
        record("run-i1", {"status": "error"}, checkpoint={}),
        record("run-i1t2", {"status": "error"}, checkpoint={}),
    )

    (action,) = plan(known, NOW).actions

    assert isinstance(action, CreatePod)
    assert action.target.checkpoint == "run-i1t2"


def test_the_answer_aborted_aborts_the_run() -> None:
    assert shown(plan(answered({"status": "aborted"}), NOW)) == ("Aborted", "AbortedByTask")


def test_a_record_of_another_pod_of_the_same_name_has_the_baton() -> None:
    """An operator that lost its Lease may have written a status about a pod that never ran."""
    other = record(response={"status": "done"}, podUID="uid-of-the-one-that-ran")
    known = view(task_run(current()), pod(state=terminated()), other)

    assert isinstance(plan(known, NOW).actions[0], ConfirmGone)
    gone = {"uid-of-the-one-that-ran": Gone(NOW, None, is_last_state=False)}
    assert shown(plan(replace(known, gone=gone), NOW)) == ("Succeeded", "Done")


# --- pods that end badly ---------------------------------------------------------------------------------------------


def test_a_container_that_died_gets_its_record_written() -> None:
    known = view(task_run(current()), pod(state=terminated(137, reason="OOMKilled"), phase="Failed"), record())

    (action,) = plan(known, NOW).actions

    assert isinstance(action, WriteRecord)
    assert (action.code, action.cause) == ("OOMKilled", "PodFailure")


def test_an_evicted_pod_is_replaced_at_once_and_not_counted_as_an_attempt() -> None:
    known = view(task_run(current()), pod(state=terminated(137), phase="Failed", reason="Evicted"), record())

    (action,) = plan(known, NOW).actions
    written = plan(replace(known, pods=(*known.pods, pod("run-i1t2"))), NOW).status

    assert isinstance(action, CreatePod)
    assert action.target.name == "run-i1t2"
    assert written is not None
    assert (written.attempts, written.disruptions) == (0, 1)
    assert written.recent_iterations[0].answer == "disrupted"


def test_a_pod_that_is_missing_is_asked_for_before_it_counts_as_gone() -> None:
    assert plan(view(task_run(current())), NOW).actions == (ConfirmGone("run-i1", "uid-of-run-i1"),)


@pytest.mark.parametrize(
    ("last", "is_last_state", "wait"),
    [
        (pod(state=terminated(143)), True, None),
        (pod(state=running()), True, 15),
        (pod(), True, None),
        (pod(), False, 15),
        (None, False, 15),
    ],
    ids=["its container had ended", "deleted by force", "never started", "its end was missed", "never seen"],
)
def test_a_pod_that_is_gone_is_replaced(last: Any, is_last_state: bool, wait: float | None) -> None:
    known = view(task_run(current()), record(), gone={"uid-of-run-i1": Gone(NOW, last, is_last_state)})

    planned = plan(known, NOW)

    if wait is None:
        assert isinstance(planned.actions[0], CreatePod)
    else:
        assert shown(planned) == ("Running", "Disrupted")
        assert planned.requeue_at == at(wait)


def test_an_answer_that_comes_late_still_counts() -> None:
    status = current() | {"disruptions": 1, "current": None, "nextIterationAt": at(10)}
    known = view(task_run(status), record(response={"status": "done"}))

    assert shown(plan(known, NOW)) == ("Succeeded", "Done")


def test_too_many_disruptions_fail_the_run() -> None:
    evicted = pod(state=terminated(137), phase="Failed", reason="Evicted")
    known = view(task_run(current()), evicted, definition=task_definition(disruptionRetries=0))

    assert shown(plan(known, NOW)) == ("Failed", "Disrupted")


def test_a_pod_that_cannot_start_shows_why_and_is_deleted_after_its_pending_timeout() -> None:
    waiting = {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}
    known = view(task_run(current()), pod(state=waiting, phase="Pending"))

    planned = plan(known, NOW)
    (action,) = plan(known, at(840)).actions

    assert shown(planned) == ("Running", "ImagePullBackOff")
    assert condition(planned, "Stalled") == "True"
    assert action == DeletePod("run-i1", "uid-of-run-i1", "7")


# --- ending a pod ----------------------------------------------------------------------------------------------------


def ending(since: float) -> dict[str, Any]:
    return {"annotations": {"podrelay.dev/ending-since": at(since).isoformat()}}


def test_an_iteration_that_takes_too_long_is_ended_by_the_kubelet() -> None:
    known = view(task_run(current()), pod(state=running(-900)), record())

    assert plan(known, NOW).actions == (EndPod(known.pods[0]),)


def test_an_ended_pod_is_deleted_when_it_does_not_go_in_time() -> None:
    def known(since: float) -> View:
        return view(task_run(current()), pod(state=running(-1000), meta=ending(since)), record())

    assert plan(known(-49), NOW).actions == ()
    assert plan(known(-49), NOW).requeue_at == at(-49 + 20 + 30)
    assert plan(known(-50), NOW).actions == (DeletePod("run-i1", "uid-of-run-i1"),)


def test_a_pod_that_does_not_go_at_all_is_called_lost_and_the_run_finishes() -> None:
    stuck = pod(state=running(-1000), meta=ending(-100) | {"deletionTimestamp": at(-31)})
    known = view(task_run(current()), stuck, record())

    planned = plan(known, NOW)

    assert shown(planned) == ("Running", "NodeLost")
    assert planned.status is not None
    assert "node node" in (planned.status.message or "")
    assert shown(plan(known, at(600))) == ("Failed", "NodeLost")


ABORT = {"abort": {"message": "wrong file"}}


def test_abort_without_a_pod_takes_effect_at_once() -> None:
    planned = plan(view(task_run(delaySeconds=600, **ABORT)), NOW)

    assert shown(planned) == ("Aborted", "Aborted")
    assert planned.status is not None
    assert (planned.status.message, planned.status.iterations) == ("wrong file", 0)


def test_abort_deletes_a_pod_that_never_started_and_ends_one_that_has() -> None:
    waiting = view(task_run(current(), **ABORT), pod())
    at_work = view(task_run(current(), **ABORT), pod(state=running()), record())

    assert plan(waiting, NOW).actions == (DeletePod("run-i1", "uid-of-run-i1", "7"),)
    assert plan(at_work, NOW).actions == (EndPod(at_work.pods[0]),)


def test_abort_wins_over_whatever_the_pod_still_answers() -> None:
    done = view(task_run(current(), **ABORT), pod(state=terminated()), record(response={"status": "done"}))

    assert shown(plan(done, NOW)) == ("Aborted", "Aborted")


def test_abort_writes_the_record_of_a_pod_that_said_nothing() -> None:
    silent = view(task_run(current(), **ABORT), pod(state=terminated(137)), record())

    (action,) = plan(silent, NOW).actions

    assert isinstance(action, WriteRecord)
    assert (action.cause, action.message) == (None, "wrong file")


# --- after the end ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("phase", "policy", "is_removed"),
    [
        ("Succeeded", "OnSuccess", True),
        ("Failed", "OnSuccess", False),
        ("Failed", "Always", True),
        ("Succeeded", "Never", False),
    ],
)
def test_pods_go_by_their_cleanup_policy(phase: str, policy: str, is_removed: bool) -> None:
    ended = pod(state=terminated(), meta={"annotations": {"podrelay.dev/pod-cleanup": policy}}, phase="Succeeded")

    planned = plan(view(task_run({"phase": phase, "finishedAt": NOW}), ended), NOW)

    assert (planned.actions == (DeletePod("run-i1", "uid-of-run-i1"),)) is is_removed


def test_a_pod_whose_turn_is_over_goes_while_the_newest_stays() -> None:
    status = current("run-i2", 2) | {"lastRecord": "run-i1"}
    known = view(
        task_run(status),
        pod(state=terminated(), phase="Succeeded"),
        pod("run-i2", running()),
        record(response={"status": "continue", "input": {}}),
    )
    settled = replace_status(known, plan(known, NOW))

    assert plan(settled, NOW).actions == (DeletePod("run-i1", "uid-of-run-i1"),)


def test_sidecars_do_not_hold_a_finished_pod() -> None:
    with_sidecar = pod(state=terminated(), meta={"annotations": {"podrelay.dev/pod-cleanup": "Never"}})
    known = view(task_run({"phase": "Succeeded", "finishedAt": NOW}), with_sidecar)

    assert plan(known, at(28)).actions == ()
    assert plan(known, at(29)).actions == (EndPod(with_sidecar),)


@pytest.mark.parametrize(
    ("run_ttl", "definition_ttl", "expected"),
    [(5, 50, 5), (None, 50, 50), (None, None, 90 * 86_400)],
    ids=["the run's", "the definition's", "the operator's"],
)
def test_a_finished_run_is_deleted_after_its_ttl(
    run_ttl: int | None, definition_ttl: int | None, expected: float
) -> None:
    spec: dict[str, Any] = {} if run_ttl is None else {"ttlSecondsAfterFinished": run_ttl}
    definition = (
        task_definition() if definition_ttl is None else task_definition(ttlSecondsAfterFinished=definition_ttl)
    )
    known = view(task_run({"phase": "Failed", "finishedAt": NOW}, **spec), definition=definition)

    assert plan(known, NOW).requeue_at == at(expected)
    assert plan(known, at(expected)).actions == (DeleteRun("uid-of-the-run", "7"),)


def test_without_a_ttl_a_finished_run_stays() -> None:
    known = view(task_run({"phase": "Failed", "finishedAt": NOW}), settings=Settings(default_ttl=None))

    assert plan(known, at(10**8)) == Plan()


def test_a_run_that_is_being_deleted_is_left_alone() -> None:
    assert plan(view(task_run(meta={"deletionTimestamp": NOW})), NOW) == Plan()
