"""Signals and operators with old views, played move by move."""

from typing import Any

import pytest

from tests.support.relaymodel.operators import KINDS
from tests.support.relaymodel.processes import Process
from tests.support.relaymodel.signals import SignalPromises, send
from tests.support.relaymodel.world import World

OTHERS = tuple(kind for kind in KINDS if kind != "tasksignals")
WAIT: dict[str, Any] = {"status": "continue", "waitForSignal": {"names": ["go"]}, "waitSeconds": 400}
ONCE_MORE: dict[str, Any] = {"status": "continue"}


@pytest.fixture(params=["API", "TerminationMessage"])
def world(request: pytest.FixtureRequest) -> World:
    world = World({"reporting": request.param, "maxIterations": 9, "retry": {"limit": 1}, "disruptionRetries": 2})
    world.promises = SignalPromises(world)
    return world


def iterate(world: World, pod: str, answer: dict[str, Any], operator: int = 0) -> Process:
    """Let an operator create a pod, which answers and ends, and let the operator see that."""
    world.operators[operator].work()
    assert world.start(pod), pod
    process = world.processes[world.api.read("pods", pod)["metadata"]["uid"]]
    world.answer(process.uid, answer)
    world.exit(pod, 1 if answer["status"] == "error" else 0)
    world.operators[operator].work()
    world.promises.look()
    return process


def phase(world: World, name: str) -> str:
    found: str = world.api.read("tasksignals", name)["status"]["phase"]
    return found


def test_a_signal_that_was_sent_before_the_wait_ends_it_at_once(world: World) -> None:
    send(world, "run", "s1")
    iterate(world, "run-i1", WAIT)

    process = iterate(world, "run-i2", {"status": "done"})

    assert process.signals == ("s1",)
    assert phase(world, "s1") == "Consumed"
    assert not world.violations


def test_a_signal_wakes_a_run_that_waits(world: World) -> None:
    iterate(world, "run-i1", WAIT)
    assert world.status["reason"] == "WaitingForSignal"
    assert world.operators[0].next_look is not None, "only the time until which it waits is scheduled"

    send(world, "run", "s1")
    process = iterate(world, "run-i2", {"status": "done"})

    assert process.signals == ("s1",)
    assert "waitingFor" not in world.status


def test_an_attempt_after_an_error_gets_the_signals_again(world: World) -> None:
    send(world, "run", "s1")
    iterate(world, "run-i1", WAIT)
    iterate(world, "run-i2", {"status": "error", "retryAfterSeconds": 0})
    assert phase(world, "s1") == "Pending"

    process = iterate(world, "run-i2t2", {"status": "done"})

    assert process.signals == ("s1",)
    assert phase(world, "s1") == "Consumed"


def test_an_operator_that_sees_a_consumed_signal_as_pending_does_not_give_it_again(world: World) -> None:
    send(world, "run", "s1")
    world.second_operator()
    leader, other = world.operators
    other.see_all()
    while other.judge():
        pass
    iterate(world, "run-i1", WAIT)
    assert iterate(world, "run-i2", ONCE_MORE).signals == ("s1",)
    iterate(world, "run-i3", WAIT)
    leader.die()

    other.see(1000, OTHERS)  # its watch of signals does not follow
    while other.step():
        other.see(1000, OTHERS)

    assert world.status["reason"] == "WaitingForSignal"
    assert not [pod for pod in world.pods() if pod["metadata"]["name"] == "run-i4"]
    send(world, "run", "s2")
    assert iterate(world, "run-i4", {"status": "done"}, operator=1).signals == ("s2",)
    assert not world.violations


def test_an_operator_that_has_not_seen_a_signal_marks_it_as_consumed(world: World) -> None:
    world.second_operator()
    leader, other = world.operators
    send(world, "run", "s1")
    iterate(world, "run-i1", WAIT)
    leader.work()
    assert world.start("run-i2")
    process = world.processes[world.api.read("pods", "run-i2")["metadata"]["uid"]]
    world.answer(process.uid, WAIT)
    world.exit("run-i2", 0)

    other.see(1000, OTHERS)  # before the leader, which is slow now, has marked the signal
    while other.step():
        other.see(1000, OTHERS)

    assert phase(world, "s1") == "Consumed"
    other.see_all()
    while other.judge():
        pass
    while other.step():
        other.see_all()
    assert world.status["reason"] == "WaitingForSignal", "it was not given a second time"


def test_a_timeout_ends_the_wait_without_signals(world: World) -> None:
    iterate(world, "run-i1", WAIT)
    world.advance(401)

    process = iterate(world, "run-i2", {"status": "done"})

    assert process.signals == ()
    assert process.me.woken_by == "Timeout"


def test_a_signal_for_a_finished_run_is_rejected(world: World) -> None:
    iterate(world, "run-i1", {"status": "done"})

    send(world, "run", "late")
    world.operators[0].work()

    status = world.api.read("tasksignals", "late")["status"]
    assert (status["phase"], status["reason"]) == ("Rejected", "RunFinished")


def test_signals_that_nothing_waited_for_are_rejected_when_the_run_finishes(world: World) -> None:
    send(world, "run", "s1")
    iterate(world, "run-i1", {"status": "done"})
    world.operators[0].work()

    assert phase(world, "s1") == "Rejected"


def test_a_signal_for_a_run_that_does_not_exist_yet_waits_for_it(world: World) -> None:
    world.names.append("later")
    send(world, "later", "s1")
    world.operators[0].work()
    assert phase(world, "s1") == "Pending"

    world.create_run("later")
    world.restart_operator()  # with both runs
    world.operators[0].work()

    assert world.api.read("tasksignals", "s1")["metadata"]["ownerReferences"][0]["name"] == "later"


@pytest.mark.parametrize("how", ["abort", "delete"])
def test_a_run_that_waits_can_be_ended(world: World, how: str) -> None:
    iterate(world, "run-i1", WAIT)

    if how == "abort":
        world.abort()
    else:
        world.delete_run("run")
    world.operators[0].work()

    if how == "abort":
        assert world.status["phase"] == "Aborted"
    assert not [pod for pod in world.pods() if pod["metadata"]["name"] == "run-i2"]


def test_a_suspended_run_keeps_its_signals_until_it_is_resumed(world: World) -> None:
    iterate(world, "run-i1", WAIT)
    world.suspend(value=True)
    send(world, "run", "s1")
    world.operators[0].work()
    assert world.status["reason"] == "Suspended"
    world.advance(500)  # longer than the wait
    world.operators[0].work()

    world.suspend(value=False)

    assert iterate(world, "run-i2", {"status": "done"}).signals == ("s1",)


def test_an_iteration_is_given_100_signals_at_most_and_the_next_one_the_rest(world: World) -> None:
    for number in range(130):
        send(world, "run", f"s{number:03}")
    iterate(world, "run-i1", WAIT)

    first = iterate(world, "run-i2", WAIT)
    second = iterate(world, "run-i3", {"status": "done"})

    by_message = world.spec["reporting"] == "TerminationMessage"
    assert len(first.signals) == (98 if by_message else 100), "what fits into an environment variable"
    assert {*first.signals, *second.signals} == {f"s{number:03}" for number in range(130)}
    assert not world.violations


@pytest.mark.parametrize("is_started", [False, True])
@pytest.mark.parametrize("is_early", [False, True])
def test_a_standby_pod_is_replaced_because_it_has_no_signals(is_started: bool, is_early: bool) -> None:
    world = World({"maxIterations": 9, "standby": {"afterSeconds": 0}})
    world.promises = SignalPromises(world)
    if is_early:
        send(world, "run", "s1")
    world.operators[0].work()
    world.start("run-i1")
    world.operators[0].work()
    standby = world.api.read("pods", "run-i2")["metadata"]["uid"]
    if is_started:
        world.start("run-i2")
    process = world.processes[world.api.read("pods", "run-i1")["metadata"]["uid"]]
    world.answer(process.uid, WAIT)
    world.exit("run-i1", 0)
    if not is_early:
        send(world, "run", "s1")

    world.settle({"status": "done"})

    assert not world.violations
    (second,) = (one for one in world.processes.values() if one.pod == "run-i2" and one.has_begun)
    assert (second.uid != standby, second.signals) == (True, ("s1",))
    assert phase(world, "s1") == "Consumed"


def test_a_standby_pod_that_a_foreign_finalizer_keeps_counts_as_disrupted() -> None:
    world = World({"maxIterations": 9, "standby": {"afterSeconds": 0}, "disruptionRetries": 1})
    world.promises = SignalPromises(world)
    send(world, "run", "s1")
    world.operators[0].work()
    world.start("run-i1")
    world.operators[0].work()
    world.hold_pod("run-i2")
    process = world.processes[world.api.read("pods", "run-i1")["metadata"]["uid"]]
    world.answer(process.uid, WAIT)
    world.exit("run-i1", 0)
    world.operators[0].work()
    assert world.status["reason"] == "WaitingForSignal"
    world.advance(61)

    second = iterate(world, "run-i2t2", {"status": "done"})

    assert second.signals == ("s1",)
    assert world.status["phase"] == "Succeeded"


def test_a_record_cannot_consume_the_signals_of_another_run(world: World) -> None:
    world.names.append("other")
    world.create_run("other")
    world.restart_operator()
    send(world, "other", "theirs")
    world.operators[0].work()
    assert world.start("run-i1")
    process = world.processes[world.api.read("pods", "run-i1")["metadata"]["uid"]]
    process.signals = ("theirs", "no-such-signal")  # a program that forges its answer
    world.answer(process.uid, {"status": "continue"})
    world.exit("run-i1", 0)

    world.operators[0].work()

    assert phase(world, "theirs") == "Pending"
    assert [pod for pod in world.pods() if pod["metadata"]["name"] == "run-i2"], "the run continues"
