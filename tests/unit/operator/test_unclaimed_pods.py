"""Pods by termination message that start without a claim: what protects a run if requests are late, and leaders change.

Played move by move with the model of `relaymodel`, because random histories seldom reach these situations."""

from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from podrelay.operator.planner import planner
from tests.support.relaymodel.operators import Operator
from tests.support.relaymodel.world import KEY, World

DONE: dict[str, Any] = {"status": "done"}
CONTINUE: dict[str, Any] = {"status": "continue"}
SETTLED = 61
"""Seconds after the beginning of a term, after which no earlier request can take effect."""


@pytest.fixture
def world() -> World:
    definition = {"reporting": "TerminationMessage", "disruptionRetries": 3, "podCleanup": "Always"}
    return World(definition, has_deadlines=True)


def answered(world: World, name: str, answer: dict[str, Any]) -> None:
    """The container of a pod runs, answers and ends."""
    assert world.start(name), f"{name} may not start"
    world.answer(uid(world, name), answer)
    world.exit(name, 0)


def uid(world: World, name: str) -> str:
    return str(world.api.read("pods", name)["metadata"]["uid"])


def pods(world: World) -> list[str]:
    return [pod["metadata"]["name"] for pod in world.pods()]


def lose_the_creation(operator: Operator) -> None:
    """The request that creates the pod gets no response, and does not take effect yet."""
    operator.step(holds=["before"])
    operator.proceed(KEY, is_lost=True)
    assert operator.late


def test_a_short_run_is_written_three_times(world: World) -> None:
    operator = world.operators[0]
    operator.work()
    answered(world, "run-i1", DONE)
    operator.see_all()
    before_cleanup = 3
    for _ in range(2):
        operator.step()

    assert world.status["phase"] == "Succeeded"
    assert operator.connection.writes == before_cleanup  # pod, record, status
    assert (world.status["iterations"], world.status["current"]["podName"]) == (1, "run-i1")


def test_several_short_iterations_are_shown_by_one_status(world: World) -> None:
    operator = world.operators[0]
    for iteration in (1, 2, 3):
        operator.work()
        answered(world, f"run-i{iteration}", DONE if iteration == 3 else CONTINUE)
        assert not world.status.get("phase")
    operator.see_all()
    for _ in range(2):
        operator.step()

    assert world.status["phase"] == "Succeeded"
    assert [entry["iteration"] for entry in world.status["recentIterations"]] == [3, 2, 1]
    assert operator.connection.writes == 3 + 3 + 1
    world.settle(DONE)
    assert not world.violations


def test_another_leader_continues_a_run_whose_status_lags_behind(world: World) -> None:
    for iteration in (1, 2):
        world.operators[0].work()
        answered(world, f"run-i{iteration}", CONTINUE)
    world.operators[0].work()
    assert not world.status.get("phase")

    world.restart_operator()
    world.settle(DONE)

    assert not world.violations
    assert world.user_code_starts == [(1, 1), (2, 1), (3, 1)]


def test_the_status_of_a_pod_that_takes_longer_is_written(world: World) -> None:
    operator = world.operators[0]
    operator.work()
    assert world.start("run-i1")
    world.advance(3)
    operator.work()

    assert (world.status["phase"], world.status["current"]["podName"]) == ("Running", "run-i1")


def test_a_status_that_is_due_shows_all_that_has_happened_until_then(world: World) -> None:
    operator = world.operators[0]
    shown = []
    for iteration in range(1, 8):
        operator.work()
        answered(world, f"run-i{iteration}", CONTINUE)
        operator.work()
        world.advance(1)
        operator.work()
        shown.append(world.status.get("current", {}).get("podName"))

    assert shown == [None, None, "run-i4", "run-i4", "run-i4", "run-i7", "run-i7"]
    assert len(world.status["recentIterations"]) == 6


@pytest.mark.parametrize(
    ("lagging", "seconds"),
    [(1, 3), (30, 3), (31, 3.1), (100, 10), (300, 30), (100_000, 30)],
)
def test_the_more_runs_start_at_once_the_later_the_status_shows_their_pods(
    world: World, lagging: int, seconds: float
) -> None:
    operator = world.operators[0]
    operator.work()
    assert world.start("run-i1")
    operator.see_all()
    view = operator.store.view(KEY)
    assert view is not None
    assert view.lagging == 1
    (pod,) = view.pods

    many = replace(view, lagging=lagging)
    assert many.shown_by(pod) == view.first_seen(pod) + timedelta(seconds=seconds)
    assert planner.plan(replace(many, now=many.shown_by(pod) - timedelta(milliseconds=1))).status is None
    assert planner.plan(replace(many, now=many.shown_by(pod))).status is not None


@pytest.mark.parametrize("seconds", [0, SETTLED])
def test_a_leader_with_old_watches_creates_no_pod_that_may_start(world: World, seconds: int) -> None:
    """It takes over a run of which it knows nothing; the first pod has come and gone, so its name is free."""
    world.standby()
    first, second = world.operators
    first.work()
    answered(world, "run-i1", CONTINUE)
    first.work()
    world.advance(4)
    first.work()
    assert pods(world) == ["run-i2"]

    world.take_over(1)
    world.advance(seconds)
    for _ in range(4):
        second.step()

    assert "run-i1" not in pods(world) or not world.start("run-i1")
    world.settle(DONE)
    assert not world.violations
    assert world.user_code_starts == [(1, 1), (2, 1)]


def test_a_new_leader_needs_no_claim_once_it_has_written_a_status_and_time_has_passed(world: World) -> None:
    world.restart_operator()
    operator = world.operators[0]
    operator.work()  # with a claim: pod, status, gate
    answered(world, "run-i1", {**CONTINUE, "waitSeconds": 90})
    operator.work()
    world.advance(90)
    operator.work()

    assert (world.status["lastRecord"], pods(world)) == ("run-i1", ["run-i2"])
    writes = operator.connection.writes
    answered(world, "run-i2", DONE)
    operator.see_all()
    for _ in range(2):
        operator.step()
    assert (world.status["phase"], operator.connection.writes - writes) == ("Succeeded", 2)


def test_a_pod_that_is_deleted_by_force_is_in_the_status_before_its_name_becomes_free(world: World) -> None:
    operator = world.operators[0]
    operator.work()
    assert world.start("run-i1")
    world.force_delete("run-i1")
    while "run-i1" in pods(world):
        operator.see_all()
        assert operator.step()

    assert world.status["current"]["podName"] == "run-i1"
    world.restart_operator()
    world.operators[0].work()
    assert "run-i1" not in pods(world), "its container may still be running"
    world.settle(DONE)
    assert not world.violations


def test_the_name_of_a_pod_stays_taken_while_an_earlier_request_may_create_it_again(world: World) -> None:
    operator = world.operators[0]
    lose_the_creation(operator)
    world.advance(1)
    operator.work()
    answered(world, "run-i1", DONE)
    operator.work()
    assert world.status["phase"] == "Succeeded"

    assert pods(world) == ["run-i1"]  # it was deleted, and is kept
    world.late += operator.late
    operator.late.clear()
    world.take_effect()

    world.advance(SETTLED)
    operator.work()
    assert pods(world) == []
    assert world.user_code_starts == [(1, 1)]


def test_an_aborted_run_without_a_pod_ends_when_no_earlier_request_can_create_one(world: World) -> None:
    operator = world.operators[0]
    lose_the_creation(operator)
    world.abort()
    operator.work()
    assert (world.status["phase"], world.status["reason"]) == ("Pending", "PodUncertain")

    world.advance(SETTLED)
    operator.work()

    assert (world.status["phase"], world.status["reason"]) == ("Aborted", "Aborted")


def test_a_pod_that_the_former_leader_creates_late_ends_before_its_aborted_run(world: World) -> None:
    """A validating webhook has delayed its request, which came in time for the policy."""
    world.operators[0].step(holds=["inside"])
    world.restart_operator()
    operator = world.operators[0]
    world.abort()
    operator.work()
    assert world.status["reason"] == "PodUncertain"

    world.advance(20)
    world.take_effect()
    assert world.start("run-i1")
    operator.work()

    assert world.status["phase"] == "Running"
    world.settle(DONE)
    assert world.status["phase"] == "Aborted"
    assert not world.violations
