"""Runners and operators from before protocol versions, together with current ones: docs/compatibility.md."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import podrelay
from dev.harness.manifests import Manifest
from dev.harness.operator import OperatorProcess, SpawnedOperator
from dev.harness.waiting import eventually
from podrelay.api import protocol
from tests.support import gated_tasks, where_tasks
from tests.support.gated_tasks import gates
from tests.support.oldpackage import environment, old_package
from tests.support.pods import RUNNER
from tests.support.relay import TASKS_FILE, Relay
from tests.support.shapes import SHAPES, Shape, check_ending

pytestmark = pytest.mark.integration

WHERE = Path(where_tasks.__file__)


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The old package, as a folder for PYTHONPATH."""
    return old_package(tmp_path_factory.mktemp("old"))


def old_template(package: Path, task: str, module: Path = TASKS_FILE) -> Manifest:
    """Return a pod template whose image has the old package."""
    template = Relay.template(task, module)
    (container,) = template["spec"]["containers"]
    variables = environment(package) | {"PYTHONPATH": f"{package}:{Path(__file__).parents[2]}"}
    container["env"] = [{"name": name, "value": value} for name, value in variables.items() if name != "PATH"]
    return template


def old_operator(relay: Relay, package: Path, folder: Path) -> SpawnedOperator:
    return SpawnedOperator(relay.kubectl, folder / "old-operator", environment(package))


def play_all(relay: Relay, shapes: list[Shape]) -> None:
    def play(shape: Shape) -> None:
        shape.start(relay, shape.name, shape.name)
        shape.act(relay, shape.name)
        check_ending(relay, shape, shape.name, 120)

    for shape in shapes:
        shape.define(relay, shape.name)
    with ThreadPoolExecutor(6) as pool:
        outcomes = {shape.name: pool.submit(play, shape) for shape in shapes}
    failed = [f"{name}: {outcome.exception()}" for name, outcome in outcomes.items() if outcome.exception()]
    assert not failed, "\n".join(failed)


def played_by_old_pods(shape: Shape, package: Path) -> Shape:
    return replace(shape, definition={**shape.definition, "template": old_template(package, shape.task)})


def as_ended_by_the_old_operator(shape: Shape) -> Shape:
    """The old operator had two reasons for a killed container: OOMKilled from the runtime, otherwise Killed.

    It also wrote a record for each answer.
    """
    if shape.definition.get("recordLogs") is False:
        return replace(shape, expected=replace(shape.expected, records=(("i1", "done"),)))
    if shape.expected.reason != "OOMKilled":
        return shape
    return replace(shape, expected=replace(shape.expected, reason="Killed"))


def found(relay: Relay, **definition: Any) -> dict[str, Any]:
    """Return the package of a pod and the protocol version of its operator."""
    relay.define("Where", module=WHERE, **definition)
    relay.run("where", "where")
    output: dict[str, Any] = relay.finished("where")["output"]
    return output


def test_runs_of_all_shapes_end_correctly_with_old_runners_and_the_new_operator(
    idle_relay: Relay, package: Path, tmp_path: Path
) -> None:
    relay = idle_relay
    with OperatorProcess(relay.kubectl, tmp_path / "operator"):
        where = found(relay, template=old_template(package, "Where", WHERE))
        assert where == {"package": str(package / "podrelay" / "__init__.py"), "protocol": str(protocol.VERSION)}
        assert "protocol" not in relay.record("where-i1")

        relay.define("Parent", template=old_template(package, "Parent"))
        play_all(relay, [played_by_old_pods(shape, package) for shape in SHAPES if shape.script is None])


def test_runs_of_all_shapes_end_correctly_with_new_runners_and_the_old_operator(
    idle_relay: Relay, package: Path, tmp_path: Path
) -> None:
    relay = idle_relay
    with old_operator(relay, package, tmp_path):
        assert found(relay) == {"package": podrelay.__file__, "protocol": None}
        assert relay.record("where-i1")["protocol"] == protocol.VERSION

        relay.define("Parent")
        play_all(relay, [as_ended_by_the_old_operator(shape) for shape in SHAPES])


def test_the_old_operator_reads_the_termination_message_of_a_new_runner(
    idle_relay: Relay, package: Path, tmp_path: Path
) -> None:
    relay = idle_relay
    limits: dict[str, Any] = {"iterationTimeoutSeconds": 4, "abortGracePeriodSeconds": 6}
    relay.define("Gated", module=Path(gated_tasks.__file__), podCleanup="Never", **limits)
    with old_operator(relay, package, tmp_path):
        relay.run("left", "gated", input={"stops": ["answer"]})
        reached, gate = gates(relay.trace("left"), "answer")
        eventually("it has reached its answer", reached.exists)
        relay.kubectl.do("delete", "rolebinding", RUNNER)
        gate.touch()

        status = relay.finished("left")

    assert (status["phase"], status["output"]) == ("Succeeded", {"x": 1, "saved": {"saved": 1}})
    assert relay.calls("left") == [(1, 1)]


@pytest.mark.parametrize("direction", ["upgraded", "rolled back"])
def test_runs_continue_when_their_operator_is_replaced(
    idle_relay: Relay, package: Path, tmp_path: Path, direction: str
) -> None:
    """An upgrade with pods of old images, and a rollback with pods of new images."""
    relay = idle_relay
    operators = [old_operator(relay, package, tmp_path), OperatorProcess(relay.kubectl, tmp_path / "operator")]
    is_upgrade = direction == "upgraded"
    first, second = operators if is_upgrade else reversed(operators)
    template = old_template(package, "Chain") if is_upgrade else relay.template("Chain")
    relay.define("Chain", podCleanup="Never", template=template)
    with first:
        relay.run("waits", "chain", input={"length": 3, "seconds": 4})
        relay.run("works", "chain", input={"length": 3, "works": 2})
        relay.until("waits", "it waits", reason="Waiting")
        eventually("the other one works", lambda: relay.calls("works"))

    with second:
        for name in ("waits", "works"):
            status = relay.finished(name)
            assert (status["phase"], status.get("attempts", 0), status.get("disruptions", 0)) == ("Succeeded", 0, 0)
            assert relay.calls(name) == [(1, 1), (2, 1), (3, 1)]


@pytest.mark.parametrize(
    ("name", "command", "words"),
    [
        (
            "newer",
            f"printf %s '{protocol.farewell('it needs 3 at least')}' > /dev/termination-log; exit 76",
            "container task refused to run (exit code 76): it needs 3 at least",
        ),
        (
            "older",
            "echo \"podrelay-runner: this is no pod of a TaskRun (variable 'PODRELAY_OLD'); to run\"; exit 2",
            "protocol version 1 lacks the variable 'PODRELAY_OLD'",
        ),
    ],
)
def test_an_unsupported_runner_fails_its_run_immediately(relay: Relay, name: str, command: str, words: str) -> None:
    container = {"name": "task", "image": "local", "command": ["sh", "-c", command]}
    retry = {"limit": 5, "initialSeconds": 0}
    relay.define("Where", name, template={"spec": {"containers": [container]}}, retry=retry, podCleanup="Never")
    relay.run(name, name)

    status = relay.finished(name)

    assert (status["phase"], status["reason"], status.get("attempts", 0)) == ("Failed", "UnsupportedRunner", 0)
    assert words in status["message"]
    assert relay.pods(name) == [f"{name}-i1"]
