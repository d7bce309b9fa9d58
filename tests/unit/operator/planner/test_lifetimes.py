"""Runs that are deleted, restored, suspended by their definition, or finish while one of their pods is not seen."""

from typing import Any

import msgspec
import pytest

from podrelay.api import names
from podrelay.operator.objects.runs import TaskRun
from podrelay.operator.plan import AnnotateRun, ConfirmAbsent, CreatePod, DeletePod, EndPod, Plan, ReadInput
from podrelay.operator.view import Gone
from tests.unit.operator.builders import (
    NOW,
    ago,
    current,
    later,
    plan,
    pod,
    record,
    running,
    task_definition,
    task_run,
    terminated,
    view,
)

RUNNING = {"phase": "Running", "current": current(), "startedAt": ago(30), "iterations": 1}
FINISHED = {"phase": "Aborted", "reason": "Aborted", "current": current(), "finishedAt": ago(30)}


def deleted(status: dict[str, Any] | None = None, **spec: Any) -> TaskRun:
    run = task_run(status, **spec)
    return msgspec.structs.replace(run, metadata=msgspec.structs.replace(run.metadata, deletion_timestamp=NOW))


def action(following: Plan) -> Any:
    (only,) = following.actions
    return only


def phase_and_reason(following: Plan) -> tuple[str | None, str | None]:
    assert following.status is not None
    assert following.actions == ()
    return following.status.phase, following.status.reason


# --- a run that is being deleted -------------------------------------------------------------------------------------


def test_the_pod_of_a_run_that_is_being_deleted_is_ended() -> None:
    working = pod(state=running(), phase="Running")

    assert action(plan(view(deleted(RUNNING), pods=(working,)), NOW)) == EndPod(working)


def test_it_shows_that_its_pod_must_end() -> None:
    ending = pod(state=running(), phase="Running", annotations={names.ANNOTATION_ENDING_SINCE: NOW.isoformat()})

    following = plan(view(deleted(RUNNING), pods=(ending,)), NOW)

    assert phase_and_reason(following) == ("Running", "Deleting")
    assert following.requeue_at == later(90)


@pytest.mark.parametrize("spec", [{}, {"abort": {"message": "enough"}}])
def test_it_finishes_when_its_pod_has_ended(spec: dict[str, Any]) -> None:
    ended = pod(state=terminated(143), phase="Failed")

    sure = view(deleted(RUNNING, **spec), pods=(ended,), absent="words-i1t2")

    assert phase_and_reason(plan(sure, NOW)) == ("Aborted", "Deleted")


def test_the_value_of_its_limit_is_read_while_its_pod_works() -> None:
    """An operator that has restarted may not know it, and would give no run of the definition a slot."""
    working = pod(state=running(), phase="Running")
    limited = task_definition(concurrency={"key": "customer", "limit": 1})

    assert action(plan(view(deleted(RUNNING), limited, pods=(working,)), NOW)) == ReadInput()
    known = view(deleted({**RUNNING, "concurrencyKey": '"c1"'}), limited, pods=(working,))
    assert action(plan(known, NOW)) == EndPod(working)


def test_it_starts_nothing() -> None:
    assert phase_and_reason(plan(view(deleted()), NOW)) == ("Aborted", "Deleted")


# --- ends without a pod ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("spec", [{"abort": {}}, {"parent": "missing"}])
def test_a_run_does_not_end_before_it_is_certain_that_no_pod_was_made(spec: dict[str, Any]) -> None:
    unsure = view(task_run(**spec), absent=None)

    assert plan(unsure, NOW).actions == (ConfirmAbsent("words-i1"),)
    assert plan(view(task_run(**spec), absent="words-i7"), NOW).actions == (ConfirmAbsent("words-i1"),)


def test_a_pod_that_runs_after_the_end_is_ended() -> None:
    unseen = pod(state=running(), phase="Running")

    assert action(plan(view(task_run(FINISHED), pods=(unseen,)), NOW)) == EndPod(unseen)


@pytest.mark.parametrize(("hooks", "seconds"), [((), 30), (("onDone",), 930)])
def test_a_pod_that_has_answered_has_its_time_to_end_by_itself(hooks: tuple[str, ...], seconds: int) -> None:
    working = pod(state=running(), phase="Running")
    outcomes = [{"name": hook, "outcome": "Done"} for hook in hooks]
    answered = record(response={"status": "done"}, hooks=outcomes)
    done = {"phase": "Succeeded", "current": current(), "finishedAt": NOW, "hooksDue": list(hooks), "hooks": outcomes}
    ended = view(task_run(done), pods=(working,), records=(answered,))

    waits = plan(ended, later(seconds - 1))
    assert (waits.actions, waits.requeue_at) == ((), later(seconds))
    assert action(plan(ended, later(seconds))) == EndPod(working)


# --- annotations, and restored runs ----------------------------------------------------------------------------------


def test_a_run_that_lasts_for_a_minute_is_annotated() -> None:
    working = pod(state=running(), phase="Running")
    run = task_run({**RUNNING, "startedAt": ago(59)}, annotations={})
    shown = plan(view(run, pods=(working,)), NOW)
    assert shown.status is not None
    known = task_run(msgspec.to_builtins(shown.status), annotations={})

    assert plan(view(known, pods=(working,)), NOW).requeue_at == later(1)
    assert action(plan(view(known, pods=(working,)), later(1))) == AnnotateRun(
        names.ANNOTATION_BEGAN, ago(59).isoformat()
    )


def test_a_run_that_is_kept_for_a_minute_after_its_end_is_annotated() -> None:
    ended = task_run({"phase": "Failed", "finishedAt": ago(59)}, annotations={})

    assert plan(view(ended), NOW).requeue_at == later(1)
    assert action(plan(view(ended), later(1))) == AnnotateRun(names.ANNOTATION_ENDED, "Failed")


@pytest.mark.parametrize("phase", ["Succeeded", "Failed", "Aborted"])
def test_a_restored_run_that_had_ended_does_not_run_again(phase: str) -> None:
    restored = task_run(annotations={names.ANNOTATION_ENDED: phase})

    following = plan(view(restored, task_definition(hooks=["onDone", "onError", "onAbort"])), NOW)

    assert phase_and_reason(following) == (phase, "Restored")
    assert following.status is not None
    assert following.status.hooks_due == ()


def test_a_restored_run_that_had_begun_waits_for_a_decision() -> None:
    began = {names.ANNOTATION_BEGAN: "2026-03-01T11:00:00Z"}
    first = plan(view(task_run(annotations=began)), NOW)
    assert phase_and_reason(first) == ("Pending", "Restored")

    again = task_run(msgspec.to_builtins(first.status), annotations=began)
    assert plan(view(again), later(9999)).status == again.status
    decided = task_run(msgspec.to_builtins(first.status), annotations={})
    assert isinstance(action(plan(view(decided), NOW)), CreatePod)


# --- a definition that is suspended ----------------------------------------------------------------------------------


def test_nothing_new_starts_while_the_definition_is_suspended() -> None:
    suspended = task_definition(suspend=True)

    assert phase_and_reason(plan(view(definition=suspended), NOW)) == ("Pending", "DefinitionSuspended")
    unstarted = pod()
    assert plan(view(task_run(RUNNING), suspended, pods=(unstarted,)), NOW).actions == ()


# --- children that clean themselves up -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("annotation", "answered", "is_finished", "goes"),
    [("2", 1, False, False), ("2", 2, False, True), ("2", 1, True, True), (None, 9, False, False)],
)
def test_a_child_is_kept_until_no_attempt_of_its_parent_can_start_it_again(
    annotation: str | None, answered: int, is_finished: bool, goes: bool
) -> None:
    from podrelay.operator.plan import DeleteRun
    from podrelay.operator.view import Parent

    annotations = {names.ANNOTATION_ENDED: "Succeeded"}
    if annotation is not None:
        annotations[names.ANNOTATION_PARENT_ITERATION] = annotation
    child = task_run({"phase": "Succeeded", "finishedAt": ago(5)}, parent="book", annotations=annotations)
    parent = Parent("uid-book", "book", (), is_aborted=False, is_finished=is_finished, answered=answered)

    following = plan(view(child, task_definition(selfCleanup=["OnSuccess"]), parent=parent), NOW)

    assert (DeleteRun(child.metadata.uid, child.metadata.resource_version) in following.actions) == goes


def test_an_unstarted_pod_of_a_deleted_run_is_deleted() -> None:
    unstarted = pod(version=5)

    assert action(plan(view(deleted(RUNNING), pods=(unstarted,)), NOW)) == DeletePod("words-i1", "uid-words-i1", "5")


# --- the same name again ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("answer", [{"status": "done"}, None])
def test_a_record_of_a_former_run_of_the_same_name_does_not_count(answer: dict[str, Any] | None) -> None:
    successor = task_run(uid="uid-successor")
    former = record(response=answer)

    assert phase_and_reason(plan(view(successor, records=(former,)), NOW)) == ("Pending", "NameTaken")
    begun = task_run(RUNNING, uid="uid-successor")
    lost = Gone(ago(60), None, is_last_state=False)
    settled = frozenset({"words-i1"})
    again = plan(view(begun, records=(former,), gone={"uid-words-i1": lost}, settled=settled), NOW)
    assert [action.target.name for action in again.actions if isinstance(action, CreatePod)] == ["words-i1t2"]


def test_an_answer_of_continue_resets_the_attempts() -> None:
    """The failed attempt belongs to the previous iteration: the next one has all of its attempts."""
    tried = RUNNING | {"attempts": 2, "disruptions": 1, "current": current("words-i1t4", 1, 4)}
    ended = pod("words-i1t4", state=terminated(), phase="Succeeded")
    answered = record("words-i1t4", {"status": "continue"})

    following = plan(view(task_run(tried), pods=(ended,), records=(answered,)), NOW)

    (made,) = [action for action in following.actions if isinstance(action, CreatePod)]
    assert (made.target.name, made.target.try_) == ("words-i2", 1)
    seen = plan(view(task_run(tried), pods=(ended, pod("words-i2")), records=(answered,)), NOW).status
    assert seen is not None
    assert (seen.attempts, seen.disruptions, seen.last_record) == (0, 0, "words-i1t4")
