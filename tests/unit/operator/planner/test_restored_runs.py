"""Runs restored from a backup: none of them starts without a request, regardless of the way of restoring."""

import json
from typing import Any

import msgspec
import pytest

from podrelay.api import names
from podrelay.operator.executor import pod_builder
from podrelay.operator.objects.records import Record
from podrelay.operator.objects.runs import TaskRun
from podrelay.operator.plan import AdoptRecord, ConfirmGone, CreatePod, Plan, ReleasePod, Target
from podrelay.operator.pods import Pod
from tests.unit.operator.builders import (
    NOW,
    ago,
    current,
    later,
    plan,
    pod,
    record,
    task_definition,
    task_run,
    terminated,
    view,
)

VELERO = {names.LABEL_VELERO_RESTORE: "friday"}
HALF_WAY = {"phase": "Running", "startedAt": ago(900), "lastRecord": "words-i2", "iterations": 2}
EXPORTED = "2026-02-27T03:00:00Z"


def labelled(run: TaskRun, labels: dict[str, str]) -> TaskRun:
    kept = msgspec.convert(labels, type(run.metadata.labels))
    return msgspec.structs.replace(run, metadata=msgspec.structs.replace(run.metadata, labels=kept))


def restored_record(name: str, response: dict[str, Any] | None, labels: dict[str, str]) -> Record:
    """A record without an owner."""
    made = record(name, response)
    kept = msgspec.convert(labels, type(made.metadata.labels))
    about = msgspec.structs.replace(made.metadata, owner_references=(), labels=kept)
    return msgspec.structs.replace(made, metadata=about)


def ownerless(which: Pod, **changes: Any) -> Pod:
    about = msgspec.structs.replace(which.metadata, owner_references=(), **changes)
    return msgspec.structs.replace(which, metadata=about)


def phase_and_reason(following: Plan) -> tuple[str | None, str | None]:
    assert following.status is not None
    assert following.actions == ()
    return following.status.phase, following.status.reason


def applied(name: str = "words", **status: Any) -> dict[str, str]:
    """The annotation of `kubectl apply` for a run that was exported from a cluster."""
    body = {"metadata": {"name": name, "uid": "uid-before"}, "spec": {"definition": "count-words"}, "status": status}
    return {names.ANNOTATION_LAST_APPLIED: json.dumps(body)}


# --- kubectl apply ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("phase", ["Succeeded", "Failed", "Aborted"])
def test_the_last_applied_object_shows_that_a_run_had_finished(phase: str) -> None:
    run = task_run(annotations=applied(phase=phase, startedAt="2026-03-01T11:00:00Z"))

    assert phase_and_reason(plan(view(run), NOW)) == (phase, "Restored")


def test_the_last_applied_object_shows_that_a_run_had_begun() -> None:
    run = task_run(annotations=applied(phase="Running", startedAt="2026-03-01T11:00:00Z"))

    following = plan(view(run), NOW)

    assert phase_and_reason(following) == ("Pending", "Restored")
    assert following.status is not None
    assert "2026-03-01T11:00:00Z" in (following.status.message or "")


@pytest.mark.parametrize("text", ["", '{"spec": {}}', '{"status": {"phase": "Pending"}}', '{"status": 1}', '"status"'])
def test_a_run_starts_with_any_other_last_applied_object(text: str) -> None:
    run = task_run(annotations={names.ANNOTATION_LAST_APPLIED: text})

    assert isinstance(plan(view(run), NOW).actions[0], CreatePod)


def test_the_last_applied_object_is_not_kept() -> None:
    assert task_run(annotations=applied(phase="Failed")).metadata.annotations.last_applied is None


# --- Velero ----------------------------------------------------------------------------------------------------------


def test_velero_has_time_to_restore_the_status() -> None:
    run = labelled(task_run(created=ago(29)), VELERO)

    assert plan(view(run), NOW) == Plan(requeue_at=later(1))


def test_without_a_status_it_is_unknown_whether_a_run_had_begun() -> None:
    run = labelled(task_run(created=ago(30)), VELERO)

    following = plan(view(run), NOW)

    assert phase_and_reason(following) == ("Pending", "Restored")
    assert following.status is not None
    assert "not known" in (following.status.message or "")


def test_its_records_are_not_applied_as_answers() -> None:
    run = labelled(task_run(created=ago(30)), VELERO)
    answered = msgspec.structs.replace(record("words-i1", {"status": "done"}))

    assert phase_and_reason(plan(view(run, task_definition(hooks=["onDone"]), records=(answered,)), NOW)) == (
        "Pending",
        "Restored",
    )


def test_an_unfinished_run_waits_for_a_decision_and_keeps_its_progress() -> None:
    run = labelled(task_run({**HALF_WAY, "current": current("words-i3", 3)}), VELERO)

    following = plan(view(run, records=(restored_record("words-i2", None, {}),)), NOW)

    assert phase_and_reason(following) == ("Running", "Restored")
    assert following.status is not None
    assert (following.status.last_record, following.status.current) == (run.status.last_record, run.status.current)


def test_its_records_get_their_owner_back() -> None:
    run, known = labelled(task_run(HALF_WAY), VELERO), restored_record("words-i2", {"status": "continue"}, VELERO)

    assert plan(view(run, records=(known,)), NOW).actions == (AdoptRecord(known),)


def test_so_do_those_of_a_finished_run() -> None:
    run = labelled(task_run({"phase": "Succeeded", "finishedAt": ago(99)}), VELERO)
    known = restored_record("words-i2", {"status": "done"}, VELERO)

    assert plan(view(run, records=(known,)), NOW).actions == (AdoptRecord(known),)


def test_records_of_another_restore_are_not_the_runs() -> None:
    run = labelled(task_run(HALF_WAY), VELERO)
    foreign = restored_record("words-i2", {"status": "continue"}, {names.LABEL_VELERO_RESTORE: "monday"})

    assert not view(run).owns(foreign)


def test_without_the_label_it_continues() -> None:
    run = task_run({**HALF_WAY, "current": current("words-i3", 3)})

    assert isinstance(
        plan(view(run, records=(record("words-i2", {"status": "continue"}),)), NOW).actions[0], ConfirmGone
    )


def test_it_can_be_aborted() -> None:
    run = labelled(task_run(HALF_WAY, abort={"message": "no"}), VELERO)

    assert phase_and_reason(plan(view(run, records=(record("words-i2", {"status": "continue"}),)), NOW)) == (
        "Aborted",
        "Aborted",
    )


# --- podrelay import -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [{}, HALF_WAY])
@pytest.mark.parametrize("spec", [{}, {"abort": {}}, {"suspend": True}])
def test_nothing_is_done_before_an_import_has_finished(status: dict[str, Any], spec: dict[str, Any]) -> None:
    run = task_run(status, annotations={names.ANNOTATION_IMPORTED: names.IMPORT_INCOMPLETE}, **spec)

    assert phase_and_reason(plan(view(run), NOW))[1] == "Importing"


@pytest.mark.parametrize(("status", "place"), [({}, "before it had begun"), (HALF_WAY, "in iteration 3")])
def test_an_imported_run_waits_for_a_decision(status: dict[str, Any], place: str) -> None:
    run = task_run(status, annotations={names.ANNOTATION_IMPORTED: EXPORTED}, suspend=True)
    answered = record("words-i3", {"status": "done"})

    following = plan(view(run, records=(record("words-i2", {"status": "continue"}), answered)), NOW)

    assert phase_and_reason(following)[1] == "Imported"
    assert following.status is not None
    assert place in (following.status.message or "")
    assert EXPORTED in (following.status.message or "")


@pytest.mark.parametrize("reason", ["Importing", "Imported"])
def test_and_begins_when_it_is_resumed(reason: str) -> None:
    shown = {"phase": "Pending", "reason": reason}
    run = task_run(shown, annotations={names.ANNOTATION_IMPORTED: EXPORTED})

    assert isinstance(plan(view(run), NOW).actions[0], CreatePod)


def test_and_continues_with_the_next_iteration_when_it_is_resumed() -> None:
    run = task_run({**HALF_WAY, "reason": "Imported"}, annotations={names.ANNOTATION_IMPORTED: EXPORTED})

    following = plan(view(run, records=(record("words-i2", {"status": "continue"}),)), NOW)

    (action,) = following.actions
    assert isinstance(action, CreatePod)
    assert (action.target.iteration, action.target.state) == (3, "words-i2")


def test_an_answer_that_was_not_applied_yet_counts_when_it_is_resumed() -> None:
    run = task_run({**HALF_WAY, "reason": "Imported"}, annotations={names.ANNOTATION_IMPORTED: EXPORTED})
    records = (record("words-i2", {"status": "continue"}), record("words-i3", {"status": "done"}))
    uid = records[1].pod_uid

    assert plan(view(run, records=records), NOW).actions == (ConfirmGone("words-i3", uid),)


# --- names of children, and pods -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("annotations", "expected"),
    [
        ({}, None),
        ({names.ANNOTATION_ORIGIN: "words/uid-first"}, "uid-first"),
        ({names.ANNOTATION_ORIGIN: "words/uid-run"}, None),
        ({names.ANNOTATION_ORIGIN: "copied/uid-first"}, None),
        ({names.ANNOTATION_ORIGIN: "words/"}, None),
        (applied(phase="Running"), "uid-before"),
        (applied("other", phase="Running"), None),
    ],
)
def test_children_are_named_as_before_the_restore(annotations: dict[str, str], expected: str | None) -> None:
    run = task_run(annotations=annotations)
    target = Target(1, 1, "words-i1", None, None, is_final_attempt=True)

    env = pod_builder.build(run, task_definition(), target)["spec"]["containers"][0]["env"]

    values = {item["name"]: item.get("value") for item in env}
    assert values.get(names.ENV_ORIGIN_UID) == expected
    assert values[names.ENV_RUN_UID] == "uid-run"


def test_a_restored_pod_that_lost_its_owner_can_be_deleted() -> None:
    left = pod(
        "words-i1", "uid-left", state=terminated(0), phase="Succeeded", about={"finalizers": [names.ANSWER_FINALIZER]}
    )
    left = ownerless(left, deletion_timestamp=NOW)

    assert plan(view(task_run({"phase": "Succeeded", "finishedAt": ago(5)}), pods=(left,)), NOW).actions == (
        ReleasePod(left),
    )
