"""The operator's own node is lost: a standby on another node takes over; the old one does no harm when it returns."""

from collections.abc import Iterator

import pytest

from dev.harness.chart import RELEASE_NAMESPACE, deploy
from dev.harness.kubectl import Kubectl
from dev.harness.waiting import eventually
from tests.support.nodes import Nodes, placed, preferring
from tests.support.realpods import RealRelay

pytestmark = pytest.mark.e2e


@pytest.fixture
def pair(admin: Kubectl) -> Iterator[Kubectl]:
    """The operator's namespace, with two operators on the workers; afterwards with one again, not on a worker."""
    deploy(admin, {"operator.replicas": 2, **placed("operator", "workers")})
    yield admin.in_namespace(RELEASE_NAMESPACE)
    deploy(admin, {"operator.replicas": 1, **placed("operator", "control plane")})


def operators(system: Kubectl) -> dict[str, str]:
    """Return the node of each operator pod that is not being deleted."""
    path = "--output=jsonpath={range .items[*]}{.metadata.name} {.spec.nodeName} {.metadata.deletionTimestamp}\n{end}"
    listed = system.do("get", "pods", "--selector=app.kubernetes.io/component=operator", path)
    return {line.split()[0]: line.split()[1] for line in listed.splitlines() if len(line.split()) == 2}


def leader(system: Kubectl) -> str:
    return str(system.get("lease", "podrelay-operator")["spec"].get("holderIdentity", "")).rpartition("_")[0]


def test_a_standby_on_another_node_takes_over(relay: RealRelay, nodes: Nodes, pair: Kubectl) -> None:
    placed = eventually("two operators", lambda: len(found := operators(pair)) == 2 and found) or {}
    assert sorted(placed.values()) == nodes.workers()
    # The previous operator releases its Lease, or, on a busy machine, is killed first: then the Lease must expire.
    first = eventually("one of them leads", lambda: (name := leader(pair)) in placed and name, 45)
    lost = placed[str(first)]
    (other,) = set(nodes.workers()) - {lost}
    relay.define("Chain", pod=preferring(other))
    relay.run("before", "chain", input={"length": 3, "seconds": 4})
    relay.until("before", "it is running", phase="Running")

    with nodes.frozen(lost):
        relay.run("after", "chain")
        during = [relay.finished(run, 60) for run in ("before", "after")]
        assert leader(pair) != first
    relay.run("again", "chain")
    afterwards = relay.finished("again", 60)

    assert [(status["phase"], status["iterations"]) for status in [*during, afterwards]] == [
        ("Succeeded", 3),
        ("Succeeded", 2),
        ("Succeeded", 2),
    ]
    assert leader(pair) != first
    eventually(
        "the one that lost the Lease has stopped leading", lambda: "leadership lost" in log(pair, str(first)), 60
    )


def log(system: Kubectl, pod: str) -> str:
    return system("logs", pod).stdout + system("logs", pod, "--previous").stdout
