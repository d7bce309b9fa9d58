"""Runs of all shapes end correctly, and nothing is duplicated, with a faulty connection to the API server."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from dev.cluster import Cluster
from dev.harness.kubectl import Kubectl
from dev.harness.operator import OperatorProcess
from tests.support.faultproxy import FaultProxy
from tests.support.quick import QuickKubectl
from tests.support.relay import Relay
from tests.support.shapes import SHAPES, Shape, check_ending

pytestmark = pytest.mark.integration

PATIENCE = 3.0
"""Seconds without data after which the operator treats a watch as broken; the proxy sends a bookmark each second."""


@pytest.fixture
def quick_relay(idle_relay: Relay) -> Relay:
    own = idle_relay.kubectl
    return replace(idle_relay, kubectl=QuickKubectl(own.kubeconfig, own.env, own.namespace))


def patient(shape: Shape) -> Shape:
    """Give a pod more time: they all start at once, and the API server may not respond for seconds."""
    if "iterationTimeoutSeconds" not in shape.definition:
        return shape
    return replace(shape, definition=shape.definition | {"iterationTimeoutSeconds": 12})


@pytest.mark.parametrize("seed", [1, 2])
def test_runs_end_correctly_behind_a_faulty_connection(
    quick_relay: Relay, cluster: Cluster, tmp_path: Path, seed: int
) -> None:
    relay = quick_relay

    def play(shape: Shape) -> None:
        shape.start(relay, shape.name, shape.name)
        shape.act(relay, shape.name)
        check_ending(relay, shape, shape.name, 120, may_be_late=True)

    for shape in map(patient, SHAPES):
        shape.define(relay, shape.name)
    with FaultProxy(cluster.kubeconfig, seed, rate=0.15).serving() as proxy:
        behind = Kubectl(proxy.kubeconfig(tmp_path), relay.kubectl.env, relay.kubectl.namespace)
        operator = OperatorProcess(behind, tmp_path / "operator", silence_seconds=PATIENCE)
        with operator, ThreadPoolExecutor(len(SHAPES)) as pool:
            outcomes = {shape.name: pool.submit(play, shape) for shape in SHAPES}
        failed = [f"{name}: {outcome.exception()}" for name, outcome in outcomes.items() if outcome.exception()]
        assert not failed, "\n".join(failed)
        assert sum(proxy.counts.values()) > 20, proxy.counts
