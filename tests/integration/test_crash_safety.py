"""Guarantees when the operator dies, lags, or runs twice: each iteration once, no second pod."""

import json
import signal
from pathlib import Path
from typing import Any

import pytest

from dev.cluster import Cluster
from dev.harness.operator import SHORT_LEASE, OperatorProcess
from dev.harness.waiting import eventually
from podrelay.api import names
from tests.support.audit import writes_of_the_operator
from tests.support.relay import Relay

pytestmark = pytest.mark.integration

CALLS = [(1, 1), (2, 1)]


def check_ended_as_if_nothing_had_happened(relay: Relay) -> None:
    status = relay.finished("run", 60)
    assert (status["phase"], status["reason"], status["iterations"]) == ("Succeeded", "Done", 2)
    assert status["output"]["done"] == 2
    assert relay.calls("run") == CALLS
    assert [record["metadata"]["name"] for record in relay.records("run")] == ["run-i1", "run-i2"]
    assert (status.get("attempts", 0), status.get("disruptions", 0)) == (0, 0)
    eventually("its pods are removed", lambda: relay.pods("run") == [], 30)


def test_a_pod_that_was_created_again_runs_no_user_code(idle_relay: Relay, tmp_path: Path) -> None:
    relay = idle_relay
    relay.define("Chain", podCleanup="Never")
    with OperatorProcess(relay.kubectl, tmp_path / "operator"):
        relay.run("run", "chain", input={"length": 2})
        relay.finished("run")
        old = relay.kubectl.get("pods", "run-i1")
        relay.kubectl.do("delete", "pod", "run-i1")

    # The operator would remove such a pod before it starts; here only the runner itself can detect it.
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
    metadata["annotations"].pop(names.ANNOTATION_GOOD_UNTIL)  # otherwise, the API server refuses it
    spec = {key: value for key, value in pod["spec"].items() if key not in {"nodeName", "tolerations", "volumes"}}
    for container in spec["containers"]:
        container.pop("volumeMounts", None)
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def test_a_foreign_resource_with_the_same_plural_changes_nothing(
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
    leader = OperatorProcess(relay.kubectl, tmp_path / "leader", flags=(SHORT_LEASE,))
    leader.start()
    eventually("the first one leads", lambda: "leading" in leader.text)
    with OperatorProcess(relay.kubectl, tmp_path / "standby") as standby:
        relay.run("run", "chain", input={"length": 2, "seconds": 1})
        relay.until("run", "it is on its way", phase="Running")
        leader.kill()

        check_ended_as_if_nothing_had_happened(relay)

        assert "leading" in standby.text


def test_a_leader_that_was_stopped_for_a_while_is_harmless_when_it_returns(idle_relay: Relay, tmp_path: Path) -> None:
    relay = idle_relay
    relay.define("Chain", podCleanup="Never")
    leader = OperatorProcess(relay.kubectl, tmp_path / "leader", flags=(SHORT_LEASE,))
    leader.start()
    eventually("the first one leads", lambda: "leading" in leader.text)
    with OperatorProcess(relay.kubectl, tmp_path / "standby") as standby:
        relay.run("run", "chain", input={"length": 5, "seconds": 1})
        relay.until("run", "it is on its way", phase="Running")

        leader.process.send_signal(signal.SIGSTOP)
        eventually("the standby leads", lambda: "leading" in standby.text)
        leader.process.send_signal(signal.SIGCONT)
        status = relay.finished("run", 60)

        eventually("it is standing by", lambda: "standing by" in leader.text, 30)
        assert not leader.has_ended
        assert (status["phase"], status["iterations"]) == ("Succeeded", 5)
        assert relay.calls("run") == [(number, 1) for number in range(1, 6)]
        assert len(relay.pods("run")) == 5
    leader.stop()


def test_a_clean_stop_releases_the_lease(idle_relay: Relay, tmp_path: Path) -> None:
    leader = OperatorProcess(idle_relay.kubectl, tmp_path / "leader")
    leader.start()
    eventually("the first one leads", lambda: "leading" in leader.text)

    leader.stop()

    lease = idle_relay.kubectl.get("lease", "podrelay-operator")
    assert lease["spec"].get("holderIdentity", "") == ""
    assert leader.process.poll() == 0


def test_two_operators_at_once_create_no_second_pod(idle_relay: Relay, tmp_path: Path) -> None:
    """Both are leaders, with separate Leases, so only names, versions and the runner's fence protect the run."""
    relay = idle_relay
    relay.define("Chain", podCleanup="Never")
    first = OperatorProcess(relay.kubectl, tmp_path / "first")
    second = OperatorProcess(relay.kubectl, tmp_path / "second", flags=("--lease-name=another",))
    with first, second:
        for number in range(5):
            relay.run(f"run-{number}", "chain", input={"length": 3})

        for number in range(5):
            status = relay.finished(f"run-{number}", 60)
            assert (status["phase"], status["iterations"]) == ("Succeeded", 3)
            assert relay.calls(f"run-{number}") == [(1, 1), (2, 1), (3, 1)]
            assert relay.pods(f"run-{number}") == [f"run-{number}-i{i}" for i in (1, 2, 3)]
            assert len(relay.records(f"run-{number}")) == 3
        assert "leading" in first.text
        assert "leading" in second.text


FINALIZER = "patch pods"
"""The writes that release a pod."""


@pytest.mark.parametrize(
    ("spec", "cleanup", "budget"),
    [
        ({"length": 1}, "Never", ["create pods", "update taskruns/status", "update taskruns/status"]),
        (
            {"length": 3},
            "Never",
            ["create pods", "update taskruns/status"] * 3 + ["update taskruns/status"],
        ),
        (
            {"length": 2, "seconds": 2},
            "Never",
            ["create pods", "update taskruns/status", "update taskruns/status"] * 2,
        ),
        (
            {"length": 2},
            "OnSuccess",
            ["create pods", "update taskruns/status"] * 2 + ["delete pods", "update taskruns/status", "delete pods"],
            # and then the finalizer of each pod is removed
        ),
    ],
    ids=["one iteration 3", "a continue at once 2", "a continue after a wait 3", "each deletion 2"],
)
def test_write_budget(
    idle_relay: Relay, cluster: Cluster, tmp_path: Path, spec: dict[str, Any], cleanup: str, budget: list[str]
) -> None:
    """The API server counts the writes, in its audit log."""
    relay = idle_relay
    relay.define("Chain", podCleanup=cleanup)
    with OperatorProcess(relay.kubectl, tmp_path / "operator"):
        relay.run("run", "chain", input=spec)
        assert relay.finished("run")["phase"] == "Succeeded"
        if cleanup == "OnSuccess":
            eventually("its pods are removed", lambda: relay.pods("run") == [])

    assert cluster.audit_log is not None
    writes = writes_of_the_operator(cluster.audit_log, relay.kubectl.namespace)
    kinds = [" ".join(write.split()[:2]) for write in writes]
    assert [kind for kind in kinds if kind != FINALIZER] == budget, writes
    assert kinds.count(FINALIZER) == budget.count("delete pods"), writes


def test_hooks_in_the_pod_cost_one_write(idle_relay: Relay, cluster: Cluster, tmp_path: Path) -> None:
    relay = idle_relay
    relay.define("Hooked", hooks=["onDone"], podCleanup="Never")
    with OperatorProcess(relay.kubectl, tmp_path / "operator"):
        relay.run("run", "hooked", input={"how": "done"})
        eventually("its hook is done", lambda: relay.status("run").get("hooks"))

    assert cluster.audit_log is not None
    writes = writes_of_the_operator(cluster.audit_log, relay.kubectl.namespace)
    # The pod may answer before the operator has seen it run; then there is no status between.
    assert [" ".join(write.split()[:2]) for write in writes] in (
        ["create pods", *["update taskruns/status"] * 2, "patch taskruns/status"],
        ["create pods", "update taskruns/status", "patch taskruns/status"],
    ), writes
