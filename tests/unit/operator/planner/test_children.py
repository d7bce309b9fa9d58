"""Parents and children, as the planner sees them."""

from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from podrelay.api import names
from podrelay.operator.objects.metadata import OwnerReference
from podrelay.operator.objects.runs import TaskRun
from podrelay.operator.plan import (
    AbortChild,
    AdoptRun,
    ConfirmAbsent,
    ConfirmChildren,
    CreatePod,
    DeleteRun,
    EndPod,
    Plan,
    ReadRecord,
)
from podrelay.operator.view import Children, Parent, RunRef, View
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

PARENT = Parent("uid-of-parent", "count-words", ("count-words",), is_aborted=False, is_finished=False)


def child_view(parent: Parent | None = PARENT, run: TaskRun | None = None, **rest: Any) -> View:
    return view(run or task_run(parent="book"), parent=parent, **rest)


def owned_run(status: dict[str, Any] | None = None, **spec: Any) -> TaskRun:
    run = task_run(status, parent="book", **spec)
    owner = OwnerReference("TaskRun", "book", "uid-of-parent")
    return msgspec.structs.replace(run, metadata=msgspec.structs.replace(run.metadata, owner_references=(owner,)))


def starts(following: Plan) -> bool:
    return any(isinstance(action, CreatePod) for action in following.actions)


# --- the start of a child ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("triggers", "definition"),
    [(("count-words",), "count-words"), (("other", "count-words"), "chain"), (("*",), "chain")],
)
def test_a_child_that_its_parent_may_start_is_started(triggers: tuple[str, ...], definition: str) -> None:
    assert starts(plan(child_view(replace(PARENT, triggers=triggers, definition=definition)), NOW))


@pytest.mark.parametrize(
    ("parent", "reason", "words"),
    [
        (None, "ParentNotFound", 'spec.parent names TaskRun "book", which does not exist in this namespace'),
        (
            replace(PARENT, definition="chain", triggers=None),
            "NotAllowed",
            "spec.triggers of TaskDefinition chain",
        ),
        (
            replace(PARENT, triggers=None),
            "NotAllowed",
            "add count-words to spec.triggers of TaskDefinition count-words",
        ),
        (
            replace(PARENT, triggers=()),
            "NotAllowed",
            "runs of count-words are not allowed to start runs of count-words",
        ),
        (replace(PARENT, triggers=("chain",)), "NotAllowed", "spec.triggers"),
        (replace(PARENT, is_aborted=True), "ParentAborted", "the parent, TaskRun book, was aborted"),
    ],
)
def test_a_child_that_is_not_allowed_fails_before_it_starts(parent: Parent | None, reason: str, words: str) -> None:
    following = plan(child_view(parent), NOW)

    assert following.actions == ()
    assert following.status is not None
    assert (following.status.phase, following.status.reason, following.status.iterations) == ("Failed", reason, 0)
    assert words in (following.status.message or "")
    assert following.status.error is not None
    assert following.status.error.code == reason


def test_a_child_of_a_deleted_parent_is_left_to_garbage_collection_for_a_while() -> None:
    orphan = replace(child_view(None, owned_run()), parent_missing_since=NOW)

    assert plan(orphan, later(29)) == Plan(requeue_at=later(30)), "garbage collection deletes it, or removes its owner"
    status = plan(orphan, later(30)).status
    assert status is not None
    assert (status.phase, status.reason) == ("Pending", "ParentDeleted")


@pytest.mark.parametrize(
    ("parent", "reason"),
    [
        (replace(PARENT, ancestors=11), "TooManyAncestors"),
        (replace(PARENT, unfinished_children=6, max_children=5), "TooManyChildren"),
    ],
)
def test_a_family_has_limits(parent: Parent, reason: str) -> None:
    status = plan(child_view(parent, owned_run()), NOW).status

    assert status is not None
    assert (status.phase, status.reason) == ("Failed", reason)


def test_a_run_cannot_be_its_own_parent() -> None:
    run = task_run(parent="words")

    status = plan(child_view(replace(PARENT, uid=run.metadata.uid), run), NOW).status

    assert status is not None
    assert (status.phase, status.reason) == ("Failed", "NotAllowed")


def test_a_child_that_is_not_allowed_fails_despite_delay_or_missing_definition() -> None:
    delayed = task_run(parent="book", delaySeconds=600)

    for following in (
        plan(child_view(None, delayed), NOW),
        plan(replace(child_view(None), definition=None), NOW),
    ):
        assert following.status is not None
        assert following.status.reason == "ParentNotFound"


def test_an_aborted_child_becomes_aborted_regardless_of_its_parent() -> None:
    status = plan(child_view(None, task_run(parent="book", abort={})), NOW).status

    assert status is not None
    assert status.phase == "Aborted"


@pytest.mark.parametrize(
    "progress",
    [
        {"lastRecord": "words-i1"},
        {"attempts": 1},
        {"disruptions": 1},
        {"current": current()},
    ],
)
def test_a_child_that_has_begun_is_not_checked_again(progress: dict[str, Any]) -> None:
    run = task_run({"phase": "Running", **progress}, parent="book")
    records = (record("words-i1", {"status": "continue"}),) if "lastRecord" in progress else ()

    following = plan(child_view(None, run, records=records), NOW)

    assert following.status is None or following.status.phase == "Running"
    assert following.actions


# --- waiting for children ---------------------------------------------------------------------------------------------


def waiting(
    unfinished: dict[str, int], known: bool = True, definition: str | None = None, **answer: Any
) -> tuple[View, Plan]:
    """A run whose first iteration has answered that it waits."""
    wait = {"definition": definition} if definition else {}
    answered = record("words-i1", {"status": "continue", "waitForChildren": wait, **answer})
    status = {"phase": "Running", "startedAt": ago(40), "reason": "IterationRunning", "current": current()}
    seen = view(
        task_run(status),
        pods=(pod("words-i1", state=terminated(), phase="Succeeded"),),
        records=(answered,),
        children=Children(unfinished, known_since="words-i1" if known else None),
    )
    return seen, plan(seen, NOW)


def written(seen: View, following: Plan) -> View:
    """The view after the status of `following` has been written."""
    assert following.status is not None
    return replace(seen, run=task_run(msgspec.to_builtins(following.status)))


def test_all_children_are_listed_before_a_decision() -> None:
    assert waiting({}, known=False)[1].actions == (ConfirmChildren("words-i1"),)
    assert waiting({"chain": 1}, known=False)[1].actions == (ConfirmChildren("words-i1"),)


@pytest.mark.parametrize(
    ("unfinished", "definition", "words"),
    [
        ({"chain": 1, "count-words": 2}, None, "waits for 3 children"),
        ({"chain": 1, "count-words": 2}, "chain", "waits for 1 child of chain"),
    ],
)
def test_a_run_waits_for_its_children(unfinished: dict[str, int], definition: str | None, words: str) -> None:
    seen, following = waiting(unfinished, definition=definition)

    assert following.status is not None
    assert (following.status.phase, following.status.reason) == ("Running", "WaitingForChildren")
    assert following.status.message == words
    assert following.status.last_record == "words-i1"
    assert following.status.current is None, "it has no pod, so it holds no slot"
    assert following.requeue_at is None
    assert plan(written(seen, following), later(10_000)).requeue_at is None


@pytest.mark.parametrize(("unfinished", "definition"), [({}, None), ({"count-words": 2}, "chain")])
def test_without_unfinished_children_the_next_pod_is_created_at_once(
    unfinished: dict[str, int], definition: str | None
) -> None:
    assert starts(waiting(unfinished, definition=definition)[1])


def test_the_end_of_a_child_does_not_cost_a_write() -> None:
    seen, following = waiting({"chain": 3})
    fewer = replace(written(seen, following), children=Children({"chain": 1}, known_since="words-i1"))

    assert plan(fewer, later(1)).status == fewer.run.status
    over = replace(fewer, children=Children(known_since="words-i1"))
    assert starts(plan(over, later(2)))


def test_the_next_wait_shows_its_own_number() -> None:
    first, following = waiting({"chain": 3})
    answered = record("words-i2", {"status": "continue", "waitForChildren": {}})
    second = replace(
        written(first, following),
        pods=(pod("words-i2", state=terminated(), phase="Succeeded"),),
        records=(*first.records, answered),
        children=Children({"chain": 1}, known_since="words-i2"),
    )

    status = plan(second, later(1)).status

    assert status is not None
    assert (status.reason, status.message) == ("WaitingForChildren", "waits for 1 child")


def test_children_are_listed_again_after_an_earlier_wait() -> None:
    seen, _ = waiting({})

    following = plan(replace(seen, children=Children(known_since="words-i0")), NOW)

    assert following.actions == (ConfirmChildren("words-i1"),)


def test_an_answer_that_another_leader_has_applied_is_read_if_it_is_not_in_the_cache() -> None:
    """The status names the record, whose cached version has no answer yet, so it does not say that the run waits."""
    seen, following = waiting({"chain": 1})
    stale = replace(written(seen, following), records=(record("words-i1", None),))

    assert plan(stale, later(1)).actions == (ReadRecord("words-i1"),)
    assert starts(plan(replace(stale, settled=frozenset({"words-i1"})), later(1))), "it is read once"


def test_a_wait_with_a_time_ends_when_both_are_over() -> None:
    seen, following = waiting({"chain": 1}, waitSeconds=60)
    assert following.status is not None
    assert following.status.next_iteration_at == later(60)
    seen = written(seen, following)
    assert plan(seen, later(90)).status == seen.run.status, "the time alone changes nothing"

    over = replace(seen, children=Children(known_since="words-i1"))

    assert not starts(plan(over, later(30)))
    assert starts(plan(over, later(90)))


def test_a_waiting_run_is_aborted_at_once() -> None:
    seen, following = waiting({"chain": 1})
    body = msgspec.to_builtins(following.status)

    aborted = replace(seen, run=task_run(body, abort={"message": "enough"}))

    assert plan(aborted, later(1)).actions == (ConfirmAbsent("words-i2"),)
    status = plan(replace(aborted, absent="words-i2"), later(1)).status

    assert status is not None
    assert (status.phase, status.message) == ("Aborted", "enough")


def test_a_run_that_is_suspended_meanwhile_does_not_continue() -> None:
    seen, following = waiting({"chain": 1})
    suspended = task_run(msgspec.to_builtins(following.status), suspend=True)
    seen = replace(seen, run=suspended)

    assert plan(seen, later(1)).status == suspended.status
    over = plan(replace(seen, children=Children(known_since="words-i1")), later(1))
    assert over.status is not None
    assert over.status.reason == "Suspended"


def test_only_the_first_attempt_of_the_next_iteration_waits() -> None:
    seen, following = waiting({"chain": 1})
    tried = msgspec.to_builtins(following.status) | {"disruptions": 1}

    following = plan(replace(seen, run=task_run(tried), settled=frozenset({"words-i2"})), later(1))

    assert starts(following)


def test_an_answer_at_max_iterations_does_not_wait_for_children() -> None:
    seen, _ = waiting({"chain": 1})

    status = plan(replace(seen, definition=task_definition(maxIterations=1)), NOW).status

    assert status is not None
    assert (status.phase, status.reason) == ("Failed", "MaxIterations")


# --- abort ------------------------------------------------------------------------------------------------------------

TWO = Children({"chain": 2}, to_abort=(RunRef("a", "uid-a"), RunRef("b", "uid-b")))


@pytest.mark.parametrize(
    ("message", "expected"),
    [("wrong file", "wrong file"), (None, "The parent, TaskRun words, was aborted.")],
)
def test_an_abort_with_cascade_ends_the_own_pod_and_then_aborts_the_children(
    message: str | None, expected: str
) -> None:
    working = pod(state=running(), phase="Running")
    run = task_run(
        {"phase": "Running", "current": current()}, abort={"cascade": True} | ({"message": message} if message else {})
    )
    seen = view(run, pods=(working,), records=(record(),), children=TWO)

    assert plan(seen, NOW).actions == (EndPod(working),)
    seen_by_parent = replace(
        seen,
        pods=(pod(state=running(), phase="Running", annotations={names.ANNOTATION_ENDING_SINCE: NOW.isoformat()}),),
    )
    aborting = plan(seen_by_parent, NOW).status
    assert aborting is not None
    assert aborting.reason == "Aborting"
    shown = replace(
        seen_by_parent, run=task_run(msgspec.to_builtins(aborting), abort=msgspec.to_builtins(run.spec.abort))
    )
    assert plan(shown, NOW).actions == (
        AbortChild(RunRef("a", "uid-a"), expected),
        AbortChild(RunRef("b", "uid-b"), expected),
    )


def test_children_show_who_has_aborted_the_run_that_they_descend_from() -> None:
    ended = task_run({"phase": "Aborted", "finishedAt": ago(60)}, abort={"cascade": True, "by": "alice"})

    aborts = plan(view(ended, children=TWO), NOW).actions

    assert [action.by for action in aborts if isinstance(action, AbortChild)] == ["alice", "alice"]


def test_an_abort_without_cascade_leaves_the_children_alone() -> None:
    run = task_run({"phase": "Running", "current": current()}, abort={})
    seen = view(run, pods=(pod(state=running(), phase="Running"),), records=(record(),), children=TWO)

    assert not any(isinstance(action, AbortChild) for action in plan(seen, NOW).actions)


def test_children_that_appear_after_the_end_of_an_aborted_run_are_aborted() -> None:
    ended = {"phase": "Aborted", "finishedAt": ago(60)}

    assert len(plan(view(task_run(ended, abort={"cascade": True}), children=TWO), NOW).actions) == 2
    assert plan(view(task_run(ended, abort={}), children=TWO), NOW).actions == ()


# --- adoption ---------------------------------------------------------------------------------------------------------


def test_a_child_without_an_owner_gets_its_parent_once_there_is_nothing_else_to_do() -> None:
    seen = child_view(run=task_run(parent="book", suspend=True))
    following = plan(seen, NOW)
    assert following.actions == ()
    assert following.status is not None
    shown = task_run(msgspec.to_builtins(following.status), parent="book", suspend=True)

    assert plan(replace(seen, run=shown), NOW).actions == (AdoptRun(RunRef("book", "uid-of-parent")),)


def test_a_finished_child_is_adopted_too() -> None:
    ended = task_run({"phase": "Succeeded", "finishedAt": ago(60)}, parent="book")

    assert plan(child_view(run=ended), NOW).actions == (AdoptRun(RunRef("book", "uid-of-parent")),)


@pytest.mark.parametrize(
    "seen",
    [
        child_view(run=owned_run({"phase": "Succeeded", "finishedAt": ago(60)})),
        child_view(None, task_run({"phase": "Failed", "finishedAt": ago(60)}, parent="book")),
        view(task_run({"phase": "Succeeded", "finishedAt": ago(60)})),
        child_view(
            replace(PARENT, uid="uid-run", is_finished=True),
            task_run({"phase": "Failed", "finishedAt": ago(60)}, parent="words"),
        ),
    ],
    ids=["it has an owner", "there is no parent", "it is not a child", "it is its own parent"],
)
def test_no_other_run_is_adopted(seen: View) -> None:
    assert plan(seen, NOW).actions == ()


# --- how long they are kept -------------------------------------------------------------------------------------------


def ended_child(phase: str = "Succeeded", **spec: Any) -> TaskRun:
    return owned_run({"phase": phase, "finishedAt": ago(60)}, ttlSecondsAfterFinished=30, **spec)


def deletes(following: Plan) -> bool:
    return any(isinstance(action, DeleteRun) for action in following.actions)


@pytest.mark.parametrize("is_surplus", [False, True])
def test_a_child_is_kept_while_its_parent_is_unfinished(is_surplus: bool) -> None:
    following = plan(child_view(run=ended_child(), is_surplus=is_surplus), NOW)

    assert not deletes(following)
    assert following.requeue_at is None


@pytest.mark.parametrize(
    ("parent_ended", "deleted", "again"),
    [(ago(10), False, later(20)), (ago(40), True, None), (ago(300), True, None)],
)
def test_the_ttl_of_a_child_begins_when_both_have_finished(parent_ended: Any, deleted: bool, again: Any) -> None:
    parent = replace(PARENT, is_finished=True, finished_at=parent_ended)

    following = plan(child_view(parent, ended_child()), NOW)

    assert (deletes(following), following.requeue_at) == (deleted, again)


def test_a_surplus_child_is_deleted_when_its_parent_has_finished() -> None:
    parent = replace(PARENT, is_finished=True, finished_at=ago(1))

    assert deletes(plan(child_view(parent, ended_child(), is_surplus=True), NOW))


def test_a_child_of_a_deleted_parent_is_kept_like_any_run() -> None:
    assert deletes(plan(child_view(None, ended_child()), NOW))


@pytest.mark.parametrize("event", ["OnSuccess", "OnError", "OnAbort"])
@pytest.mark.parametrize("phase", ["Succeeded", "Failed", "Aborted"])
def test_self_cleanup_deletes_a_run_after_the_ends_that_it_names(event: str, phase: str) -> None:
    ended = task_run({"phase": phase, "finishedAt": ago(1)})
    definition = task_definition(selfCleanup=[event])
    is_meant = (event, phase) in {("OnSuccess", "Succeeded"), ("OnError", "Failed"), ("OnAbort", "Aborted")}

    following = plan(view(ended, definition, pods=(pod(state=terminated(), phase="Succeeded"),)), NOW)

    assert deletes(following) == is_meant


def test_self_cleanup_waits_until_all_children_are_owned() -> None:
    ended = task_run({"phase": "Succeeded", "finishedAt": ago(1)})
    seen = view(ended, task_definition(selfCleanup=["OnSuccess"]), children=Children(unadopted=1))

    assert not deletes(plan(seen, NOW))
    assert deletes(plan(replace(seen, children=Children({"chain": 3})), NOW)), "they need not have finished"
