"""What must hold when the operator dies, lags, or works twice: each iteration once, no second pod."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.support.kubectl import Kubectl
from tests.support.manifests import TASK_RUNS
from tests.support.namespaces import temporary_namespace
from tests.support.operator import OperatorProcess
from tests.support.pods import add_runner
from tests.support.relay import Relay
from tests.support.waiting import eventually

pytestmark = pytest.mark.integration

DIE_BEFORE_WRITE = "PODRELAY_TEST_DIE_BEFORE_WRITE"
CALLS = [(1, 1), (2, 1)]


def check_ended_as_if_nothing_had_happened(relay: Relay) -> None:
    status = relay.finished("run", 60)
    assert (status["phase"], status["reason"], status["iterations"]) == ("Succeeded", "Done", 2)
    assert status["output"]["done"] == 2
    assert relay.calls("run") == CALLS
    assert [record["metadata"]["name"] for record in relay.records("run")] == ["run-i1", "run-i2"]
    assert (status.get("attempts", 0), status.get("disruptions", 0)) == (0, 0)
    eventually("its pods are removed", lambda: relay.pods("run") == [], 30)


def writes_of_an_undisturbed_run(relay: Relay, folder: Path) -> int:
    with OperatorProcess(relay.kubectl, folder) as operator:
        relay.define("Chain")
        relay.run("run", "chain", input={"length": 2})
        check_ended_as_if_nothing_had_happened(relay)
        return operator.writes()


def test_a_run_survives_the_operators_death_between_any_two_writes(
    admin: Kubectl, idle_relay: Relay, tmp_path: Path
) -> None:
    writes = writes_of_an_undisturbed_run(idle_relay, tmp_path / "undisturbed")
    assert writes >= 5

    def die_before(number: int) -> None:
        folder = tmp_path / str(number)
        folder.mkdir()
        with temporary_namespace(admin) as kubectl:
            add_runner(kubectl)
            relay = Relay(kubectl, folder)
            relay.define("Chain")
            operator = OperatorProcess(kubectl, folder / "operator", {DIE_BEFORE_WRITE: str(number)})
            operator.start()
            relay.run("run", "chain", input={"length": 2})
            operator.wait_killed()
            with OperatorProcess(kubectl, folder / "operator"):
                check_ended_as_if_nothing_had_happened(relay)

    with ThreadPoolExecutor(4) as pool:
        outcomes = {number: pool.submit(die_before, number) for number in range(1, writes + 1)}
    failed = {number: outcome.exception() for number, outcome in outcomes.items() if outcome.exception()}
    assert not failed, failed


def test_a_pod_whose_name_is_made_again_runs_no_user_code(idle_relay: Relay, tmp_path: Path) -> None:
    relay = idle_relay
    relay.define("Chain", podCleanup="Never")
    with OperatorProcess(relay.kubectl, tmp_path / "operator"):
        relay.run("run", "chain", input={"length": 2})
        relay.finished("run")
        old = relay.kubectl.get("pods", "run-i1")
        relay.kubectl.do("delete", "pod", "run-i1")
        relay.kubectl.do("create", "-f", "-", stdin=json.dumps(remade(old)))

        eventually(
            "the new pod has ended",
            lambda: relay.kubectl.get("pods", "run-i1")["status"].get("phase") == "Failed",
        )

    terminated = relay.kubectl.get("pods", "run-i1")["status"]["containerStatuses"][0]["state"]["terminated"]
    assert terminated["exitCode"] == 75
    assert relay.calls("run") == CALLS
    assert relay.status("run")["phase"] == "Succeeded"


def remade(pod: dict[str, Any]) -> dict[str, Any]:
    metadata = {key: pod["metadata"][key] for key in ("name", "labels", "annotations", "ownerReferences")}
    spec = {key: value for key, value in pod["spec"].items() if key not in {"nodeName", "tolerations", "volumes"}}
    for container in spec["containers"]:
        container.pop("volumeMounts", None)
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def test_a_foreign_resource_of_the_same_plural_changes_nothing(
    idle_relay: Relay, foreign_crd: str, tmp_path: Path
) -> None:
    relay = idle_relay
    relay.define("Chain")
    with OperatorProcess(relay.kubectl, tmp_path / "operator") as operator:
        relay.run("run", "chain", input={"length": 2})
        check_ended_as_if_nothing_had_happened(relay)

    assert foreign_crd in relay.kubectl.do("api-resources", "--output", "name")
    assert "mbiguous" not in operator.text


def test_a_standby_takes_over_when_the_leader_dies(idle_relay: Relay, tmp_path: Path) -> None:
    relay = idle_relay
    relay.define("Chain")
    leader = OperatorProcess(relay.kubectl, tmp_path / "leader")
    leader.start()
    eventually("the first one leads", lambda: "leading" in leader.text)
    with OperatorProcess(relay.kubectl, tmp_path / "standby") as standby:
        relay.run("run", "chain", input={"length": 2, "seconds": 1})
        relay.until("run", "it is on its way", phase="Running")
        leader.kill()

        check_ended_as_if_nothing_had_happened(relay)

        assert "leading" in standby.text


def test_write_budget(idle_relay: Relay, tmp_path: Path) -> None:
    """One iteration 3 writes, a continue at once 2, a continue after a wait 3, each deletion of a pod 1."""
    relay = idle_relay
    relay.define("Chain", podCleanup="Never")
    for name, spec, budget in (
        ("one", {"length": 1}, 3),
        ("three", {"length": 3}, 3 + 2 + 2),
        ("waits", {"length": 2, "seconds": 2}, 3 + 3),
    ):
        with OperatorProcess(relay.kubectl, tmp_path / name) as operator:
            relay.run(name, "chain", input=spec)
            assert relay.finished(name)["phase"] == "Succeeded"
            assert operator.writes() == budget, name

    relay.define("Chain")
    with OperatorProcess(relay.kubectl, tmp_path / "removed") as operator:
        relay.run("removed", "chain", input={"length": 2})
        eventually("its pods are removed", lambda: relay.status("removed").get("phase") and not relay.pods("removed"))
        assert operator.writes() == 3 + 2 + 2
    assert "removed" in relay.kubectl.names(TASK_RUNS)
