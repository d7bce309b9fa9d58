"""Histories that random search finds too rarely, played move by move: operators with old views, and claims."""

from typing import Any

import pytest

from podrelay.operator.plan import OpenGate
from podrelay.operator.planner import planner
from tests.support.relaymodel.world import KEY, World

DONE = {"status": "done"}


def by_message() -> World:
    """Return a world whose pods need a claim, because the clock of the API server is not trusted."""
    world = World({"reporting": "TerminationMessage", "disruptionRetries": 3})
    world.second_operator()
    return world


def catch_up(world: World) -> None:
    for operator in world.operators:
        operator.see(len(world.api.events))


def take_away(world: World, name: str) -> None:
    """A user deletes the pod, and its node ends it."""
    world.delete(name)
    world.advance(61)


def uid(world: World, name: str) -> str:
    return str(world.api.read("pods", name)["metadata"]["uid"])


def test_a_pod_that_was_created_again_under_its_name_never_starts() -> None:
    world = by_message()
    first, second = world.operators
    first.step()  # creates the pod
    first.step()  # writes the status
    first.step()  # removes its gate
    assert world.start("run-i1")
    take_away(world, "run-i1")

    for _ in range(4):
        second.step()  # has not seen any of this, so the name looks free to it

    assert not world.start("run-i1"), "the status has named another pod"
    assert world.user_code_starts == [(1, 1)]
    world.settle(DONE)
    assert not world.violations
    assert world.user_code_starts == [(1, 1), (1, 2)]


def test_the_gate_stays_closed_while_the_status_is_not_written() -> None:
    world = by_message()
    first, second = world.operators
    first.step()
    assert not world.start("run-i1")

    first.step()
    view = second.store.view(KEY)
    assert view is not None
    assert not any(isinstance(action, OpenGate) for action in planner.plan(view).actions)
    first.step()

    assert world.start("run-i1")


def test_an_answer_counts_although_the_end_of_its_pod_is_seen_first() -> None:
    world = World({"disruptionRetries": 3})
    operator = world.operators[0]
    operator.step()
    operator.step()
    assert world.start("run-i1")
    operator.see(10)
    world.answer(uid(world, "run-i1"), DONE)
    world.exit("run-i1", 0)
    take_away(world, "run-i1")

    operator.see(100, ["pods"])
    while operator.step():
        pass

    assert world.status["phase"] == "Succeeded"
    assert world.user_code_starts == [(1, 1)]


@pytest.mark.parametrize("reporting", ["API", "TerminationMessage"])
def test_two_operators_that_take_turns_run_each_iteration_once(reporting: str) -> None:
    world = World({"reporting": reporting, "maxIterations": 4})
    world.second_operator()
    answers: list[dict[str, Any]] = [{"status": "continue"}, {"status": "continue"}, DONE]
    for turn, answer in enumerate(answers, start=1):
        name = f"run-i{turn}"
        for _ in range(4):
            world.operators[turn % 2].step()
            world.operators[1 - turn % 2].step()
        assert world.start(name)
        world.answer(uid(world, name), answer)
        world.exit(name, 0)
        catch_up(world)

    world.settle(DONE)

    assert not world.violations
    assert world.user_code_starts == [(1, 1), (2, 1), (3, 1)]
    assert world.status["phase"] == "Succeeded"


HOOKS = ["onDone", "onError", "onAbort", "onMaxIterations"]


def answered(**definition: Any) -> World:
    """A world whose first pod has answered done, and whose run has Succeeded; its hook is due."""
    world = World({"hooks": HOOKS, "disruptionRetries": 2, **definition})
    operator = world.operators[0]
    operator.step()  # creates the pod
    world.start("run-i1")
    world.answer(uid(world, "run-i1"), DONE)
    catch_up(world)
    while operator.step():
        catch_up(world)
    assert world.status["phase"] == "Succeeded"
    assert world.hooks_due == ["onDone"]
    return world


def test_a_hook_is_not_called_again_when_the_end_of_its_pod_is_seen_before_its_outcome() -> None:
    world = answered()
    operator = world.operators[0]
    called = uid(world, "run-i1")
    while world.call_hook(called):
        pass
    world.exit("run-i1", 0)
    operator.see(len(world.api.events), ["pods", "taskruns"])

    while operator.step():
        operator.see(len(world.api.events), ["pods", "taskruns"])

    assert [pod["metadata"]["name"] for pod in world.pods() if "hdone" in pod["metadata"]["name"]] == []
    world.settle(DONE)
    assert world.hook_calls == ["onDone"]
    assert not world.violations


def test_a_hook_pod_that_is_lost_is_replaced_and_its_name_never_used_again() -> None:
    world = answered()
    world.exit("run-i1", 137)
    catch_up(world)
    operator = world.operators[0]
    for attempt in ("run-hdone", "run-hdonet2", "run-hdonet3"):
        for _ in range(5):
            operator.step()
            catch_up(world)
        world.start(attempt)
        take_away(world, attempt)
        catch_up(world)

    world.settle(DONE)

    assert world.status["hooks"] == [
        {
            "name": "onDone",
            "outcome": "Failed",
            "message": "pod run-hdonet3 was deleted; 3 pods were lost, and disruptionRetries allows 2",
        }
    ]
    assert not world.violations


def test_a_restarted_operator_finds_the_hook_pod_that_it_had_created() -> None:
    world = answered()
    world.exit("run-i1", 137)
    catch_up(world)
    while "run-hdone" not in [pod["metadata"]["name"] for pod in world.pods()]:
        assert world.operators[0].step()
    world.restart_operator(0)

    world.settle(DONE)

    assert world.hook_calls == ["onDone"]
    assert not world.violations


def test_an_abort_that_comes_before_the_final_status_decides_which_hook_is_called() -> None:
    world = World({"hooks": HOOKS})
    operator = world.operators[0]
    operator.step()
    world.start("run-i1")
    catch_up(world)
    operator.step()
    world.answer(uid(world, "run-i1"), DONE)
    world.abort()
    catch_up(world)

    world.settle(DONE)

    assert world.status["phase"] == "Aborted"
    assert world.hook_calls == ["onAbort"]
    assert not world.violations


def beating(**definition: Any) -> World:
    """A run with a heartbeat timeout of 60 s, whose task has just started."""
    world = World({"heartbeatTimeoutSeconds": 60, "abortGracePeriodSeconds": 20, **definition})
    work(world)
    assert world.start("run-i1")
    work(world)
    return world


def work(world: World) -> None:
    """The operator sees all events, and carries out everything that is due."""
    operator = world.operators[0]
    operator.see(len(world.api.events))
    while operator.step():
        operator.see(len(world.api.events))


def test_a_silent_task_is_ended_and_retried() -> None:
    world = beating(retry={"limit": 1, "initialSeconds": 1})
    world.advance(50)
    world.beat(uid(world, "run-i1"))
    work(world)

    for seconds in (59, 2, 11, 22):  # not yet; read live; stopped; killed
        world.advance(seconds)
        work(world)

    assert world.api.read("taskiterations", "run-i1")["response"]["error"]["code"] == "HeartbeatTimeout"
    world.settle(DONE)
    assert not world.violations
    assert (world.status["phase"], world.user_code_starts) == ("Succeeded", [(1, 1), (1, 2)])


def test_after_an_outage_a_task_has_time_to_send_a_heartbeat() -> None:
    """During the outage, neither heartbeats nor the operator reached the API server; which comes first is chance."""
    world = beating()
    world.advance(500)
    work(world)
    world.advance(5)
    world.beat(uid(world, "run-i1"))
    work(world)
    world.advance(50)
    work(world)

    assert world.status["reason"] == "IterationRunning"
    world.answer(uid(world, "run-i1"), DONE)
    world.exit("run-i1", 0)
    work(world)
    assert (world.status["phase"], world.user_code_starts) == ("Succeeded", [(1, 1)])


def test_a_heartbeat_that_the_operator_has_not_seen_yet_counts() -> None:
    world = beating()
    operator = world.operators[0]
    for _ in range(4):
        world.advance(50)
        world.beat(uid(world, "run-i1"))
        while operator.step():  # its watch of records lags
            pass

    assert world.status["reason"] == "IterationRunning"
    assert world.api.read("pods", "run-i1")["spec"]["activeDeadlineSeconds"] > 1
