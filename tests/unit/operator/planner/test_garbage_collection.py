"""Garbage collection: records beyond the history limit, surplus finished runs."""

from typing import Any

import msgspec
from msgspec.structs import replace

from podrelay.operator.plan import Action, DeleteRecord, DeleteRun
from podrelay.operator.view import View
from tests.unit.operator.builders import NOW, ago, current, plan, pod, record, running, task_definition, task_run, view

KEEP_TWO = task_definition(historyLimit={"iterations": 2, "runs": 5})
CONTINUE = {"status": "continue"}
FAILED = {"status": "error", "error": {"message": "odd"}}


def deletions(view: View) -> set[str]:
    """Return what is deleted once the status is up to date."""
    following = plan(view, NOW)
    if following.status is not None:
        run = task_run(msgspec.to_builtins(following.status))
        following = plan(replace(view, run=run), NOW)
    return {action.name for action in following.actions if isinstance(action, DeleteRecord)}


def in_iteration(number: int, attempt: int = 1) -> dict[str, Any]:
    name = f"words-i{number}" if attempt == 1 else f"words-i{number}t{attempt}"
    return {
        "phase": "Running",
        "startedAt": ago(60),
        "iterations": number,
        "attempts": attempt - 1,
        "lastRecord": f"words-i{number - 1}",
        "current": current(name, number, attempt),
    }


def test_old_records_are_deleted_during_the_run() -> None:
    records = (*(record(f"words-i{number}", CONTINUE) for number in (1, 2, 3)), record("words-i4"))
    working = pod("words-i4", state=running(), phase="Running")

    assert deletions(view(task_run(in_iteration(4)), KEEP_TWO, pods=(working,), records=records)) == {
        "words-i1",
        "words-i2",
    }


def test_the_state_and_the_attempts_of_the_open_iteration_are_kept() -> None:
    records = (
        record("words-i1", CONTINUE),
        record("words-i2", CONTINUE),
        record("words-i3", FAILED, checkpoint={}),
        record("words-i3t2", FAILED),
        record("words-i3t3"),
    )
    working = pod("words-i3t3", state=running(), phase="Running")

    assert deletions(view(task_run(in_iteration(3, 3)), KEEP_TWO, pods=(working,), records=records)) == {"words-i1"}


def finished(**fields: Any) -> dict[str, Any]:
    return {"phase": "Succeeded", "reason": "Done", "finishedAt": NOW, "lastRecord": "words-i2", **fields}


def test_after_the_end_the_newest_records_stay() -> None:
    records = tuple(record(f"words-i{number}", CONTINUE) for number in (1, 2, 3, 4, 5))
    run = task_run(finished(outputFrom="words-i1"))

    actions = plan(view(run, KEEP_TWO, records=records), NOW).actions

    assert {action.name for action in actions if isinstance(action, DeleteRecord)} == {"words-i3"}


def test_a_surplus_finished_run_is_deleted() -> None:
    run = task_run(finished())

    assert plan(view(run), NOW).actions == ()
    actions: tuple[Action, ...] = plan(view(run, is_surplus=True), NOW).actions
    assert actions == (DeleteRun(run.metadata.uid, run.metadata.resource_version),)


def test_an_unfinished_run_is_never_surplus() -> None:
    run = task_run(in_iteration(2))
    records = (record("words-i1", CONTINUE), record("words-i2"))
    working = pod("words-i2", state=running(), phase="Running")

    following = plan(view(run, pods=(working,), records=records, is_surplus=True), NOW)

    assert not any(isinstance(action, DeleteRun) for action in following.actions)
