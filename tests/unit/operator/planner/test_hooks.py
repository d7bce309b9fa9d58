"""Which hooks follow the end of a run, and how the operator ensures that each is called."""

from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from podrelay.api.hooks import due_after, is_hook_pod, pod_name
from podrelay.operator.objects.records import HookOutcome
from podrelay.operator.plan import ConfirmGone, CreatePod, DeletePod, EndPod, Plan, ReadRecord, ReturnSlot, TakeSlot
from podrelay.operator.planner import hooks
from podrelay.operator.view import Gone, Refusal, Slot
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

ALL = ["onBeforeTrigger", "onDone", "onError", "onAbort", "onMaxIterations"]
SUCCEEDED = {"phase": "Succeeded", "reason": "Done", "finishedAt": ago(5), "current": current()}
FAILED = {"phase": "Failed", "reason": "OOMKilled", "finishedAt": ago(5), "current": current()}
HOOK_POD = "words-herror"
IN_HOOK_POD = {**FAILED, "current": current(HOOK_POD, 0)}
HOOKED = task_definition(hooks=ALL)


def planned(status: dict[str, Any], now: Any = NOW, **rest: Any) -> Plan:
    status = {"hooksDue": list(due_after(status.get("phase"), status.get("reason"))), **status}
    return plan(view(task_run(status), rest.pop("definition", HOOKED), **rest), now)


def action(following: Plan) -> Any:
    (only,) = following.actions
    return only


def outcomes(following: Plan) -> list[tuple[str, str, str | None]]:
    assert following.status is not None
    return [(hook.name, hook.outcome, hook.message) for hook in following.status.hooks]


@pytest.mark.parametrize(
    ("phase", "reason", "wanted"),
    [
        ("Succeeded", "Done", ["onDone"]),
        ("Failed", "TaskFailed", ["onError"]),
        ("Failed", "MaxIterations", ["onMaxIterations", "onError"]),
        ("Failed", "Rejected", []),
        ("Failed", "InvalidInput", []),
        ("Failed", "NodeLost", []),
        ("Aborted", "Aborted", ["onAbort"]),
        ("Aborted", "AbortedByTask", ["onAbort"]),
        ("Aborted", "NodeLost", []),
        ("Running", "Waiting", []),
        (None, None, []),
    ],
)
def test_the_hooks_that_follow_a_final_phase(phase: str | None, reason: str | None, wanted: list[str]) -> None:
    assert list(due_after(phase, reason)) == wanted


@pytest.mark.parametrize("hook", ["onDone", "onError", "onAbort", "onMaxIterations"])
@pytest.mark.parametrize("attempt", [1, 2, 11])
def test_names_of_hook_pods(hook: str, attempt: int) -> None:
    name = pod_name("shop-hdone", hook, attempt)

    assert is_hook_pod(name)
    assert name.rsplit("-", 1)[0] == "shop-hdone"
    assert not is_hook_pod(f"{name}-i1")


def test_without_declared_hooks_nothing_follows() -> None:
    assert plan(view(task_run(FAILED)), NOW).actions == ()


def test_a_hook_that_the_definition_gets_after_the_end_is_not_called() -> None:
    assert plan(view(task_run(FAILED), HOOKED), NOW).actions == ()


def test_the_hooks_that_are_due_are_fixed_at_the_end() -> None:
    answered = record(response={"status": "done"})
    working = pod(state=running(), phase="Running")
    status = {"phase": "Running", "current": current(), "startedAt": ago(30)}

    ended = plan(view(task_run(status), HOOKED, pods=(working,), records=(answered,)), NOW).status

    assert ended is not None
    assert (ended.phase, ended.hooks_due) == ("Succeeded", ("onDone",))


def test_a_hook_pod_needs_a_slot_where_a_limit_applies() -> None:
    limited = task_definition(hooks=["onError"], maxConcurrentRuns=1)
    without_pod = {**FAILED, "current": None}

    assert action(planned(without_pod, definition=limited)) == TakeSlot(None)
    waits = planned(without_pod, definition=limited, slot=Slot(is_granted=False, place=1))
    assert (waits.actions, waits.status) == ((), None)
    granted = planned(without_pod, definition=limited, slot=Slot(is_granted=True))
    assert isinstance(action(granted), CreatePod)


def test_a_hook_waits_for_a_deleted_definition_and_then_fails() -> None:
    without = view(task_run({**FAILED, "current": None, "hooksDue": ["onError"], "finishedAt": NOW}), absent=None)
    without = replace(without, definition=None)

    assert plan(without, later(899)) == Plan(requeue_at=later(900))
    assert [outcome for _, outcome, _ in outcomes(plan(without, later(900)))] == ["Failed"]


def test_a_run_that_ended_without_a_pod_gets_one_for_its_hook() -> None:
    target = action(planned({"phase": "Aborted", "reason": "Aborted", "finishedAt": ago(5), "lastRecord": "words-i3"}))

    assert isinstance(target, CreatePod)
    assert (target.target.name, target.target.hooks, target.target.state) == ("words-habort", ("onAbort",), "words-i3")


def test_a_hook_pod_has_the_same_name_after_it_has_called_its_first_hook() -> None:
    """Its operator may have died before a status named it; another name would be that of a second pod."""
    status = {"phase": "Failed", "reason": "MaxIterations", "finishedAt": ago(5), "current": None}
    status |= {"hooksDue": ["onMaxIterations", "onError"]}
    called = status | {"hooks": [{"name": "onMaxIterations", "outcome": "Succeeded"}]}

    targets = [action(planned(one)).target for one in (status, called)]

    assert [target.name for target in targets] == ["words-hmax", "words-hmax"]
    assert targets[1].hooks == ("onError",)


def test_a_pod_that_answered_is_left_to_call_its_hooks() -> None:
    answered = record(response={"status": "done"}, finishedAt=ago(5))

    following = planned(SUCCEEDED, pods=(pod(state=running()),), records=(answered,))

    assert (following.actions, following.status) == ((), None)
    assert following.requeue_at == ago(5) + timedelta(seconds=900)


def test_a_pod_whose_hook_takes_too_long_is_ended_step_by_step() -> None:
    answered = record(response={"status": "done"}, finishedAt=ago(900))
    over = pod(state=running(ago(950)), about={"creationTimestamp": ago(960)})
    ended_long_ago = SUCCEEDED | {"finishedAt": ago(900)}
    assert action(planned(ended_long_ago, pods=(over,), records=(answered,))) == EndPod(over)
    since = {"podrelay.dev/ending-since": ago(91).isoformat()}
    stubborn = pod(state=running(), annotations=since)
    assert action(planned(SUCCEEDED, pods=(stubborn,), records=(answered,))) == DeletePod("words-i1", "uid-words-i1")
    deleted = pod(state=running(), about={"deletionTimestamp": ago(30), "deletionGracePeriodSeconds": 60})
    lost = planned(SUCCEEDED, pods=(deleted,), records=(answered,))
    assert (lost.actions, lost.requeue_at) == ((), later(600))
    assert outcomes(planned(SUCCEEDED, now=later(600), pods=(deleted,), records=(answered,))) == [
        ("onDone", "Failed", "pod words-i1 on node node-1 does not terminate")
    ]


def test_outcomes_in_a_record_are_copied_to_the_status() -> None:
    answered = record(
        response={"status": "done"}, hooks=[{"name": "onDone", "outcome": "Failed", "message": "RuntimeError: no"}]
    )

    following = planned(SUCCEEDED, pods=(pod(state=running()),), records=(answered,))

    assert outcomes(following) == [("onDone", "Failed", "RuntimeError: no")]


def test_the_first_outcome_of_a_hook_is_kept() -> None:
    first = (HookOutcome("onDone", "Succeeded"),)
    answered = record(hooks=[{"name": "onDone", "outcome": "Failed"}, {"name": "onError", "outcome": "Failed"}])

    assert hooks.merged(first, [answered]) == (*first, HookOutcome("onError", "Failed"))


def test_the_record_of_an_ended_pod_is_read_before_another_pod_calls_its_hook() -> None:
    ended = pod(state=terminated(137), phase="Failed")

    assert action(planned(FAILED, pods=(ended,))) == ReadRecord("words-i1")
    made = action(planned(FAILED, pods=(ended,), settled=frozenset({"words-i1"})))
    assert isinstance(made, CreatePod)
    assert made.target.name == HOOK_POD


def test_a_pod_that_is_deleted_is_waited_for() -> None:
    about = {"deletionTimestamp": later(20), "deletionGracePeriodSeconds": 60}
    deleted = pod(state=running(), about=about, phase="Running")

    following = planned(FAILED, pods=(deleted,), settled=frozenset({"words-i1"}))

    assert (following.actions, following.requeue_at) == ((), later(50))


def test_an_unknown_pod_is_read_live() -> None:
    assert action(planned(FAILED)) == ConfirmGone("words-i1", "uid-words-i1")


def test_a_created_hook_pod_is_named_in_the_status() -> None:
    gone = {"uid-words-i1": Gone(ago(1), None, is_last_state=False)}

    following = planned(FAILED, pods=(pod(HOOK_POD),), gone=gone, settled=frozenset({"words-i1"}))

    assert following.status is not None
    assert following.status.current is not None
    assert (following.status.current.pod_name, following.status.current.try_) == (HOOK_POD, 1)


def test_a_hook_pod_that_ended_without_an_outcome_has_failed() -> None:
    ended = pod(HOOK_POD, state=terminated(1), phase="Failed")

    (outcome,) = outcomes(planned(IN_HOOK_POD, pods=(ended,), settled=frozenset({HOOK_POD})))

    assert outcome[:2] == ("onError", "Failed")
    assert outcome[2] == "container task ended with exit code 1 without an answer"


def test_the_kubelet_has_time_to_say_why_a_hook_pod_ended() -> None:
    ended = pod(HOOK_POD, state=terminated(137, at=ago(1)), phase="Running")

    following = planned(IN_HOOK_POD, pods=(ended,), settled=frozenset({HOOK_POD}))

    assert (following.actions, following.requeue_at) == ((), later(29))


def test_a_hook_pod_that_the_cluster_ended_is_replaced_as_often_as_disruptions_are_allowed() -> None:
    evicted = pod(HOOK_POD, state=terminated(137), phase="Failed", reason="NodeShutdown")
    settled = frozenset({HOOK_POD, f"{HOOK_POD}t2"})

    made = action(planned(IN_HOOK_POD, pods=(evicted,), settled=settled))
    assert made.target.name == f"{HOOK_POD}t2"
    second = {**FAILED, "current": current(f"{HOOK_POD}t2", 0, 2)}
    gone = {f"uid-{HOOK_POD}t2": Gone(ago(1), None, is_last_state=False)}
    once = task_definition(hooks=ALL, disruptionRetries=1)
    (outcome,) = outcomes(planned(second, definition=once, gone=gone, settled=settled))
    assert outcome[2] == f"pod {HOOK_POD}t2 was deleted; 2 pods were lost, and disruptionRetries allows 1"


@pytest.mark.parametrize(
    ("last", "words"),
    [
        (
            pod(HOOK_POD, state=running(), annotations={"podrelay.dev/ending-since": ago(9).isoformat()}),
            "iteration timed out after 900 s",
        ),
        (pod(HOOK_POD, annotations={"podrelay.dev/pending-timeout-seconds": "30"}), "pod did not start within 30 s"),
    ],
)
def test_a_hook_pod_that_the_operator_ended_is_not_created_again(last: Any, words: str) -> None:
    gone = {f"uid-{HOOK_POD}": Gone(NOW, last, is_last_state=True)}

    (outcome,) = outcomes(planned(IN_HOOK_POD, gone=gone, settled=frozenset({HOOK_POD})))

    assert outcome[2] is not None
    assert outcome[2].startswith(words)


def test_a_refused_hook_pod_is_retried_until_the_pending_timeout() -> None:
    status = {"phase": "Aborted", "reason": "Aborted", "finishedAt": ago(5)}
    refused = Refusal("words-habort", "QuotaExceeded", "no room", since=ago(10), retry_at=later(5))

    waiting = planned(status, refusal=refused)
    assert (waiting.actions, waiting.requeue_at) == ((), later(5))
    short = task_definition(hooks=ALL, pendingTimeoutSeconds=10)
    (outcome,) = outcomes(planned(status, refusal=refused, definition=short))
    assert outcome == ("onAbort", "Failed", "no pod could be started within 10 s: no room")


@pytest.mark.parametrize(("state", "actions"), [(running(), ()), (terminated(0), (ReturnSlot(),))])
def test_while_its_hook_pod_is_refused_a_run_keeps_its_slot_if_another_pod_works(
    state: dict[str, Any], actions: tuple[Any, ...]
) -> None:
    """A standby that was deleted may take its grace period to end."""
    status = {"phase": "Aborted", "reason": "Aborted", "finishedAt": ago(5)}
    refused = Refusal("words-habort", "QuotaExceeded", "no room", since=ago(10), retry_at=later(5))
    standby = pod("words-i2", state=state, phase="Running", about={"deletionTimestamp": later(20)})

    waiting = planned(status, refusal=refused, pods=(standby,), slot=Slot(is_granted=True))

    assert waiting.actions == actions


def test_the_run_is_deleted_only_after_its_hooks() -> None:
    old = {**FAILED, "finishedAt": ago(10**9)}

    assert action(planned(old)) == ConfirmGone("words-i1", "uid-words-i1")
    done = {**old, "hooks": [{"name": "onError", "outcome": "Failed"}]}
    assert type(action(planned(done))).__name__ == "DeleteRun"


def test_an_answer_that_ends_the_run_is_applied_while_its_pod_waits_for_it() -> None:
    answered = record(response={"status": "done"}, finishedAt=ago(1))
    works = {"phase": "Running", "current": current()}

    following = planned(works, pods=(pod(state=running()),), records=(answered,))

    assert following.status is not None
    assert following.status.phase == "Succeeded"
    without = planned(works, definition=task_definition(), pods=(pod(state=running()),), records=(answered,))
    assert without.status is not None
    assert without.status.phase == "Running"


def test_a_retry_waits_for_the_end_of_the_failed_pod() -> None:
    failed = record(response={"status": "error", "error": {"message": "no"}}, finishedAt=ago(1))
    again = task_definition(hooks=ALL, retry={"limit": 1})

    following = planned(
        {"phase": "Running", "current": current()},
        definition=again,
        pods=(pod(state=running()),),
        records=(failed,),
    )

    assert following.status is not None
    assert following.status.phase == "Running"


@pytest.mark.parametrize("outcome", [None, "Succeeded"])
def test_a_later_attempt_calls_on_before_trigger_only_if_no_earlier_one_has(outcome: str | None) -> None:
    called = [{"name": "onBeforeTrigger", "outcome": outcome}] if outcome else []
    first = record(hooks=called, checkpoint={"input": {}})
    status = {"phase": "Running", "attempts": 1}
    tries = view(task_run(status), HOOKED, records=(first,), settled=frozenset({"words-i1"}))

    made = action(plan(tries, NOW))

    assert made.target.name == "words-i1t2"
    assert made.target.calls_before_trigger is (outcome is None)
