"""When a wait for signals is over, what the next iteration is given, and what the status shows meanwhile."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from podrelay.api import limits
from podrelay.operator.objects.definitions import TaskDefinition
from podrelay.operator.plan import ConfirmChildren, ConsumeSignals, CreatePod, Plan
from podrelay.operator.planner import planner
from podrelay.operator.view import Children, Inbox, View, WaitingSignal
from tests.unit.operator.builders import NOW, ago, later, pod, record, task_definition, task_run, terminated

WAITS = {"phase": "Running", "iterations": 1, "lastRecord": "words-i1", "startedAt": ago(60)}
APPROVAL = [{"name": "release", "approval": {"required": 2}}]


def waiting(name: str, signal: str = "go", *, sender: str = "", **more: Any) -> WaitingSignal:
    return WaitingSignal(name, signal, more.pop("created", ago(5)), sender=sender, **more)


def inbox(*signals: WaitingSignal, consumed: Iterable[str] = ()) -> Inbox:
    decisions = {signal.name: signal for signal in signals if signal.decision is not None}
    return Inbox(signals, decisions, frozenset(consumed))


def view(
    *signals: WaitingSignal,
    names: tuple[str, ...] = ("go",),
    count: int = 1,
    definition: TaskDefinition | None = None,
    now: datetime = NOW,
    children: Children | None = None,
    **response: Any,
) -> View:
    """A run whose first iteration has answered a moment ago that it waits."""
    answer = {"status": "continue", "waitForSignal": {"names": list(names), "count": count}, **response}
    return View(
        run=task_run(WAITS),
        definition=definition or task_definition(),
        now=now,
        records=(record("words-i1", response=answer, finishedAt=ago(10)),),
        inbox=inbox(*signals),
        children=children or Children(),
    )


def given(seen: View) -> tuple[tuple[str, ...] | None, str]:
    """Return the signals of the pod that is created, and what ended the wait."""
    (action,) = planner.plan(seen).actions
    assert isinstance(action, CreatePod), action
    return action.target.signals, action.target.woken_by


def held(seen: View) -> Plan:
    plan = planner.plan(seen)
    assert not plan.actions
    assert plan.status is not None
    assert plan.status.reason == "WaitingForSignal"
    return plan


def test_a_run_waits_until_its_signal_arrives() -> None:
    plan = held(view(waiting("s1", "other"), waitSeconds=60))

    assert plan.status is not None
    assert plan.status.waiting_for is not None
    assert (plan.status.waiting_for.signals, plan.status.waiting_for.count) == (("go",), 1)
    assert plan.status.waiting_for.until == plan.status.next_iteration_at == plan.requeue_at == later(50)
    assert plan.status.current is None
    assert given(view(waiting("s1"), waitSeconds=60)) == (("s1",), "Signals")


def test_the_time_of_a_wait_counts_from_the_answer() -> None:
    assert given(view(waitSeconds=10)) == ((), "Timeout")
    assert held(view(waitSeconds=10.5)).requeue_at == later(0.5)
    assert held(view(waitUntil=later(30).isoformat())).requeue_at == later(30)
    longest = NOW + timedelta(seconds=limits.MAX_WAIT_SECONDS - 10)
    assert held(view()).requeue_at == longest, "355 days if the answer has no time"


def test_signals_of_all_names_count_and_the_oldest_come_first() -> None:
    signals = (waiting("b", created=ago(3)), waiting("a", "stop", created=ago(9)))

    assert given(view(*signals, names=("go", "stop"), count=2)) == (("a", "b"), "Signals")
    held(view(*signals, names=("go", "stop"), count=3))


def test_a_wait_for_several_signals_shows_how_many_have_come() -> None:
    def message(*signals: WaitingSignal, count: int = 3) -> str:
        status = held(view(*signals, count=count)).status
        assert status is not None
        return status.message or ""

    assert message().startswith("waits for 3 signals go until")
    assert "come" not in message()
    assert message(waiting("a")).endswith("; 1 of 3 have come")
    assert message(waiting("a"), waiting("b"), waiting("c", "stop")).endswith("; 2 of 3 have come")
    assert "come" not in message(count=1)


def test_what_arrived_before_the_time_was_over_is_given_with_a_timeout() -> None:
    assert given(view(waiting("s1"), count=2, waitSeconds=5)) == (("s1",), "Timeout")


def test_an_iteration_gets_at_most_256_kib() -> None:
    signals = [waiting(f"s{number}", size=60_000, created=ago(60 - number)) for number in range(6)]

    assert given(view(*signals)) == (("s0", "s1", "s2", "s3"), "Signals")
    by_message = task_definition(reporting="TerminationMessage")
    assert given(view(*signals, definition=by_message)) == (("s0",), "Signals")


def test_children_end_the_wait_only_if_the_answer_says_so_and_they_are_known() -> None:
    done = Children(known_since="words-i1")
    busy = replace(done, unfinished={"words": 1})

    assert planner.plan(view(waitForChildren={})).actions == (ConfirmChildren("words-i1"),)
    assert given(view(waitForChildren={}, children=done)) == ((), "Children")
    held(view(waitForChildren={}, children=busy))
    held(view(children=done))
    assert given(view(waiting("s1"), waitForChildren={}, children=busy)) == (("s1",), "Signals")


@pytest.mark.parametrize(
    ("decisions", "woken_by"),
    [
        ([("anna", "Approve"), ("bob", "Approve")], "Approved"),
        ([("anna", "Approve"), ("bob", "Reject")], "Rejected"),
        ([("bob", "Reject")], "Rejected"),
    ],
)
def test_decisions_end_the_wait(decisions: list[tuple[str, str]], woken_by: str) -> None:
    signals = [waiting(who, "release", sender=who, decision=what) for who, what in decisions]

    seen = view(*signals, names=("release",), definition=task_definition(signals=APPROVAL))
    assert given(seen) == (tuple(who for who, _ in decisions), woken_by)


def test_an_approval_that_is_not_complete_is_shown() -> None:
    signals = [
        waiting("s1", "release", sender="anna", decision="Approve"),
        waiting("s2", "release", sender="anna", decision="Approve", restored_by="root"),
    ]

    plan = held(view(*signals, names=("release",), definition=task_definition(signals=APPROVAL)))

    assert plan.status is not None
    assert "1 of 2 users have approved" in (plan.status.message or ""), "users are counted, not signals"
    assert [decision.by for decision in plan.status.approvals] == ["anna", "anna"]
    assert [decision.restored_by for decision in plan.status.approvals] == [None, "root"]
    assert {decision.iteration for decision in plan.status.approvals} == {1}


def test_an_abort_ends_the_wait() -> None:
    seen = view()
    plan = planner.plan(replace(seen, run=task_run(WAITS, abort={"message": "enough"})))

    assert plan.status is None or plan.status.phase == "Aborted"


def test_a_suspended_run_waits_on_and_does_not_start_when_the_signal_arrives() -> None:
    suspended = task_run(WAITS, suspend=True)

    held(replace(view(), run=suspended))
    plan = planner.plan(replace(view(waiting("s1")), run=suspended))
    assert plan.status is not None
    assert plan.status.reason == "Suspended"


# --- consumption ------------------------------------------------------------------------------------------------------


def answered(**changes: Any) -> View:
    """A run whose second iteration has answered, and names the signals that it has consumed."""
    answer = {"status": "continue", "signals": ["s1", "s2"]}
    current = {"iteration": 2, "try": 1, "podName": "words-i2", "podUID": "uid-words-i2"}
    return replace(
        view(),
        run=task_run({**WAITS, "current": current}),
        records=(
            record("words-i1", response={"status": "continue"}),
            record("words-i2", response=answer, iteration=2, podUID="uid-words-i2"),
        ),
        gone={},
        **changes,
    )


def consumed(seen: View) -> bool:
    """Return whether the signals are marked before anything else happens."""
    ended = pod("words-i2", "uid-words-i2", state=terminated(), phase="Succeeded")
    actions = planner.plan(replace(seen, pods=(ended,))).actions
    if any(isinstance(action, ConsumeSignals) for action in actions):
        assert actions == (ConsumeSignals("words-i2", 2, ("s1", "s2")),)
        return True
    return False


def test_signals_are_marked_before_anything_follows_from_the_answer() -> None:
    assert consumed(answered())


@pytest.mark.parametrize("marked", [{"s1"}, set()])
def test_they_are_marked_unless_all_are_known_to_be_marked(marked: set[str]) -> None:
    assert consumed(answered(inbox=inbox(consumed=marked)))


def test_nothing_is_marked_twice() -> None:
    assert not consumed(answered(inbox=inbox(consumed={"s1", "s2"})))
    assert not consumed(answered(consumed=frozenset({"words-i2"})))
