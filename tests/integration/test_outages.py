"""The API server is away for a while, or says what kopf does not survive: everything goes on afterwards."""

import re
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster import Cluster
from tests.support.faultproxy import FaultProxy
from tests.support.kubectl import Kubectl
from tests.support.operator import SHORT_LEASE, OperatorProcess
from tests.support.relay import Relay
from tests.support.waiting import eventually

pytestmark = pytest.mark.integration

CHAINED = [(1, 1), (2, 1), (3, 1)]


@pytest.fixture
def proxy(cluster: Cluster) -> Iterator[FaultProxy]:
    """A way to the API server that is good until it is told not to be."""
    with FaultProxy(cluster.kubeconfig, seed=0, rate=0).serving() as serving:
        yield serving


@pytest.fixture
def behind(proxy: FaultProxy, idle_relay: Relay, tmp_path: Path) -> Kubectl:
    """kubectl for operators that have no other way than the proxy."""
    return Kubectl(proxy.kubeconfig(tmp_path), idle_relay.kubectl.env, idle_relay.kubectl.namespace)


def start_some(relay: Relay) -> None:
    """Runs that are at different places when something happens."""
    relay.define("Chain", podCleanup="Never")
    relay.run("works", "chain", input={"length": 3, "works": 2})
    relay.run("waits", "chain", input={"length": 3, "seconds": 2})
    relay.until("waits", "it waits", reason="Waiting")
    eventually("the other one works", lambda: relay.calls("works"))


def check_all(relay: Relay, *names: str) -> None:
    for name in names:
        status = relay.finished(name, 90)
        assert (status["phase"], status["iterations"]) == ("Succeeded", 3), status
        assert (status.get("attempts", 0), status.get("disruptions", 0)) == (0, 0)
        assert relay.calls(name) == CHAINED
        assert relay.pods(name) == [f"{name}-i{i}" for i in (1, 2, 3)]
        assert [record["response"]["status"] for record in relay.records(name)] == ["continue", "continue", "done"]


# Writes wait for longer than an outage that the Lease survives; it is renewed by requests that do not.
@pytest.mark.parametrize(
    ("silent", "words", "times"),
    [(False, "reconcile failed", 5), (True, "lease request failed", 1)],
    ids=["refuses", "hangs"],
)
def test_runs_go_on_after_an_outage_that_is_shorter_than_the_lease(
    idle_relay: Relay, proxy: FaultProxy, behind: Kubectl, tmp_path: Path, silent: bool, words: str, times: int
) -> None:
    relay = idle_relay
    with OperatorProcess(behind, tmp_path / "operator", flags=("--lease-duration=30",)) as operator:
        start_some(relay)

        with proxy.outage(silent=silent):
            relay.run("meanwhile", "chain", input={"length": 3})
            eventually("it works in vain", lambda: operator.text.count(words) >= times, 30)
        check_all(relay, "works", "waits", "meanwhile")

        assert not operator.has_ended


@pytest.mark.parametrize("silent", [False, True], ids=["refuses", "hangs"])
def test_an_operator_that_cannot_keep_its_lease_ends_and_the_next_one_completes_the_runs(
    idle_relay: Relay, proxy: FaultProxy, behind: Kubectl, tmp_path: Path, silent: bool
) -> None:
    relay = idle_relay
    operator = OperatorProcess(behind, tmp_path / "operator", flags=(SHORT_LEASE,))
    operator.start()
    start_some(relay)

    with proxy.outage(silent=silent):
        relay.run("meanwhile", "chain", input={"length": 3})
        assert operator.process.wait(timeout=30) == 1, "it ends, to be started anew"
    with OperatorProcess(behind, tmp_path / "operator"):
        check_all(relay, "works", "waits", "meanwhile")

    # Whoever notices first says so: the renewal, or a worker that wants to make a pod.
    assert re.search("leadership lost|is not ours, or not for long enough", operator.text)


def test_runs_go_on_while_kopf_ends_again_and_again(
    idle_relay: Relay, proxy: FaultProxy, behind: Kubectl, tmp_path: Path
) -> None:
    relay = idle_relay
    with OperatorProcess(behind, tmp_path / "operator") as operator:
        start_some(relay)

        proxy.end_kopf()
        eventually("kopf was started again twice", lambda: restarts(operator) >= 2, 60)
        relay.run("meanwhile", "chain", input={"length": 3})
        check_all(relay, "works", "waits", "meanwhile")
        assert (get(operator, "/healthz"), get(operator, "/readyz")) == ("ok\n", "ok\n")

        # and when there is nothing wrong any more, kopf stays
        proxy.ends_kopf = False
        ended = proxy.kopf_watches
        eventually("kopf watches again", lambda: proxy.kopf_watches > ended, 60)


def restarts(operator: OperatorProcess) -> int:
    found = re.search(r"^podrelay_kopf_restarts_total (\S+)", get(operator, "/metrics"), re.MULTILINE)
    assert found is not None
    return int(float(found[1]))


def get(operator: OperatorProcess, path: str) -> str:
    address = re.search(r"listen=(\S+)", operator.text)
    assert address is not None
    with urllib.request.urlopen(f"http://{address[1]}{path}") as answer:
        text: str = answer.read().decode()
        return text
