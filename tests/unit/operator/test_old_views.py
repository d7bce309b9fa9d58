"""An operator with an old view of a run writes nothing into its history that contradicts what has happened."""

from typing import Any

import pytest

from tests.support.relaymodel.operators import Operator
from tests.support.relaymodel.world import World

CONTINUE = {"status": "continue"}
DONE = {"status": "done"}


def outdated(*, iterations: int, knows: int, **definition: Any) -> tuple[World, Operator]:
    """A finished run with a short history, and an operator that knows its pods, but otherwise only its beginning.

    Args:
        iterations: how many there were.
        knows: how many answers the operator knows.
    """
    world = World({"historyLimit": {"iterations": 1}, "podCleanup": "Never", **definition})
    world.second_operator()
    leader, old = world.operators
    for number in range(1, iterations + 1):
        pod = f"run-i{number}"
        leader.work()
        assert world.start(pod)
        leader.work()
        if number == knows + 1:
            old.see_all()
        world.answer(world.api.read("pods", pod)["metadata"]["uid"], CONTINUE if number < iterations else DONE)
        world.exit(pod, 0)
    leader.work()
    assert world.status["phase"] == "Succeeded"
    old.see(len(world.api.events), ["pods"])
    return world, old


def records(world: World) -> list[str]:
    return [record["metadata"]["name"] for record in world.api.find("taskiterations")]


@pytest.mark.parametrize(
    ("knows", "definition"),
    [
        (0, {}),
        (0, {"reporting": "TerminationMessage"}),
        # its answer is based on a record that was deleted, too
        (1, {"reporting": "TerminationMessage"}),
    ],
)
def test_a_record_that_was_cleaned_up_is_not_created_again(knows: int, definition: dict[str, Any]) -> None:
    world, old = outdated(iterations=4, knows=knows, **definition)
    left = records(world)
    assert f"run-i{knows + 1}" not in left
    begin = len(world.api.events)

    for _ in range(20):
        old.step()

    written = [obj["metadata"]["name"] for plural, *_, obj, _ in world.api.events[begin:] if plural == "taskiterations"]
    assert written == []
    world.promises.look()
    assert not world.violations
    assert records(world) == left


@pytest.mark.parametrize("reporting", ["API", "TerminationMessage"])
def test_a_pod_that_ends_without_a_record_gets_one(reporting: str) -> None:
    world = World({"reporting": reporting, "retry": {"limit": 1}})
    (operator,) = world.operators
    operator.work()
    assert world.begin("run-i1")
    operator.work()

    world.exit("run-i1", 1)
    operator.work()

    assert world.api.read("taskiterations", "run-i1")["response"]["status"] == "error"


def test_a_run_that_was_deleted_and_created_again_gets_no_record_of_the_former_one() -> None:
    world, old = outdated(iterations=3, knows=0)
    world.delete_run("run")
    world.nodes.collect_owned()
    world.create_run("run")

    for _ in range(20):
        old.step()

    assert records(world) == []
