"""Runs end right, and nothing doubles, while the way to the API server misbehaves."""

from dataclasses import replace
from pathlib import Path

import pytest

from cluster import Cluster
from tests.support.faultproxy import FaultProxy
from tests.support.operator import OperatorProcess
from tests.support.relay import Relay

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_runs_end_right_behind_a_faulty_connection(
    idle_relay: Relay, cluster: Cluster, tmp_path: Path, seed: int
) -> None:
    relay = idle_relay
    relay.define("Chain", podCleanup="Never", retry={"limit": 0})
    relay.define("Answer")
    with FaultProxy(cluster.kubeconfig, seed, rate=0.15).serving() as proxy:
        kubectl = replace(relay.kubectl, kubeconfig=proxy.kubeconfig(tmp_path))
        with OperatorProcess(kubectl, tmp_path / "operator"):
            names = [f"chain-{number}" for number in range(8)]
            for name in names:
                relay.run(name, "chain", input={"length": 3})
            relay.run("crash", "answer", input={"how": "kill"})

            for name in names:
                status = relay.finished(name, 90)
                assert (status["phase"], status["iterations"]) == ("Succeeded", 3), status
                assert relay.calls(name) == [(1, 1), (2, 1), (3, 1)]
                assert relay.pods(name) == [f"{name}-i{i}" for i in (1, 2, 3)]
                assert (status.get("attempts", 0), status.get("disruptions", 0)) == (0, 0)
            crash = relay.finished("crash", 60)
            assert (crash["phase"], crash["reason"]) == ("Failed", "Killed")
        assert sum(proxy.counts.values()) > 20, proxy.counts
