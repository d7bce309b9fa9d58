"""The API server is down for a while, or sends events that kopf does not survive: everything continues afterwards."""

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from dev.cluster import Cluster
from dev.harness.kubectl import Kubectl
from dev.harness.operator import SHORT_LEASE, OperatorProcess
from dev.harness.waiting import eventually
from tests.support.faultproxy import FaultProxy
from tests.support.relay import Relay

pytestmark = pytest.mark.integration

LONGEST_PAUSE_SECONDS = 10
CHAINED = [(1, 1), (2, 1), (3, 1)]


@pytest.fixture
def proxy(cluster: Cluster) -> Iterator[FaultProxy]:
    """A proxy to the API server without random faults."""
    with FaultProxy(cluster.kubeconfig, seed=0, rate=0).serving() as serving:
        yield serving


@pytest.fixture
def behind(proxy: FaultProxy, idle_relay: Relay, tmp_path: Path) -> Kubectl:
    """kubectl for operators that can use only the proxy."""
    return Kubectl(proxy.kubeconfig(tmp_path), idle_relay.kubectl.env, idle_relay.kubectl.namespace)


def start_some(relay: Relay) -> None:
    """Start runs that are in different states when the outage happens."""
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


# The timeout of writes is longer than an outage that the Lease survives; requests that renew the Lease have a shorter
# one.
@pytest.mark.parametrize(
    ("silent", "words", "times"),
    [(False, "reconcile failed", 5), (True, "lease request failed", 1)],
    ids=["refuses", "hangs"],
)
def test_runs_continue_after_an_outage_that_is_shorter_than_the_lease(
    idle_relay: Relay, proxy: FaultProxy, behind: Kubectl, tmp_path: Path, silent: bool, words: str, times: int
) -> None:
    relay = idle_relay
    with OperatorProcess(behind, tmp_path / "operator", flags=("--lease-duration=30",)) as operator:
        start_some(relay)

        with proxy.outage(silent=silent):
            relay.run("meanwhile", "chain", input={"length": 3})
            eventually("its requests fail", lambda: operator.text.count(words) >= times, 30)
        check_all(relay, "works", "waits", "meanwhile")

        assert not operator.has_ended


@pytest.mark.parametrize("silent", [False, True], ids=["refuses", "hangs"])
def test_an_operator_that_cannot_renew_its_lease_becomes_a_standby_and_leads_again(
    idle_relay: Relay, proxy: FaultProxy, behind: Kubectl, tmp_path: Path, silent: bool
) -> None:
    relay = idle_relay
    with OperatorProcess(behind, tmp_path / "operator", flags=(SHORT_LEASE,)) as operator:
        start_some(relay)

        with proxy.outage(silent=silent):
            relay.run("meanwhile", "chain", input={"length": 3})
            eventually("it is standing by", lambda: "standing by" in operator.text, 30)
            words = "has not answered" if silent else "the watch of"
            eventually("readiness shows it", lambda: words in operator.get("/readyz"), 30)
            assert operator.metric("podrelay_leading") == 0
        eventually("it leads again", lambda: operator.metric("podrelay_leading") == 1, 30)
        check_all(relay, "works", "waits", "meanwhile")

        assert not operator.has_ended
        eventually("it is ready again", lambda: operator.get("/readyz") == "ok\n")


def test_another_replica_takes_over_from_a_disconnected_one_and_neither_repeats_anything(
    idle_relay: Relay, proxy: FaultProxy, behind: Kubectl, tmp_path: Path
) -> None:
    relay = idle_relay
    cut_off = OperatorProcess(behind, tmp_path / "cut-off", flags=(SHORT_LEASE,))
    other = OperatorProcess(relay.kubectl, tmp_path / "other", flags=(SHORT_LEASE,))
    with cut_off:
        eventually("it leads", lambda: " leading" in cut_off.text)
        start_some(relay)
        with other:
            with proxy.outage(silent=False):
                relay.run("meanwhile", "chain", input={"length": 3})
                eventually("the other one leads", lambda: " leading" in other.text, 30)
                check_all(relay, "works", "waits", "meanwhile")
            eventually("it sees again", lambda: cut_off.get("/readyz") == "ok\n", 30)
            assert cut_off.metric("podrelay_leading") == 0

        relay.run("afterwards", "chain", input={"length": 3})
        check_all(relay, "afterwards")

        assert cut_off.text.count(" leading") >= 2, "in the same process, after the end of the other one"


@pytest.mark.parametrize("hidden", ["/taskruns", "/taskiterations", "/pods"])
def test_a_leader_without_watches_reports_it_and_releases_its_lease(
    idle_relay: Relay, proxy: FaultProxy, behind: Kubectl, tmp_path: Path, hidden: str
) -> None:
    relay, resource = idle_relay, hidden.removeprefix("/")
    lease = "--lease-duration=8"  # long enough that a busy machine does not lose it before it is given away
    blind = OperatorProcess(behind, tmp_path / "blind", flags=(lease,))
    seeing = OperatorProcess(relay.kubectl, tmp_path / "seeing", flags=(lease,))
    with blind:
        eventually("it leads", lambda: " leading" in blind.text)
        start_some(relay)
        with seeing:
            proxy.hidden = hidden
            proxy.cut_all()
            relay.run("meanwhile", "chain", input={"length": 3})

            eventually(
                "readiness shows it", lambda: f"the watch of {resource} in namespace" in blind.get("/readyz"), 30
            )
            assert "404" in blind.get("/readyz")
            assert blind.metric("podrelay_watch_broken_seconds", resource=resource) > 5
            eventually("the other one leads", lambda: " leading" in seeing.text, 30)
            assert "releasing the Lease" in blind.text
            event = re.compile(rf"Warning +LeaseGivenAway .*the watch of {resource} in namespace")
            described = partial(relay.kubectl.do, "describe", "lease", "podrelay-operator")
            eventually("an Event on the Lease shows it, too", lambda: event.search(described()))
            assert seeing.get("/readyz") == "ok\n"
            check_all(relay, "works", "waits", "meanwhile")
            assert not blind.has_ended

        # There is no leader now: an operator without watches does not lead, and reports that.
        eventually("it does not want the Lease", lambda: "not requesting the Lease" in blind.text, 30)
        assert blind.metric("podrelay_leading") == 0

        proxy.hidden = ""
        eventually("it leads as soon as it sees", lambda: blind.metric("podrelay_leading") == 1, 30)
        assert blind.metric("podrelay_watch_broken_seconds", resource=resource) == 0
        relay.run("afterwards", "chain", input={"length": 3})
        check_all(relay, "afterwards")


def test_a_watch_that_was_broken_for_long_recovers_soon(
    idle_relay: Relay, proxy: FaultProxy, behind: Kubectl, tmp_path: Path
) -> None:
    relay = idle_relay
    relay.define("Chain", podCleanup="Never")
    with OperatorProcess(behind, tmp_path / "operator", flags=("--lease-duration=60",)) as operator:
        eventually("it leads", lambda: " leading" in operator.text)
        proxy.hidden = "/taskruns"
        proxy.cut_all()
        broken = partial(operator.metric, "podrelay_watch_broken_seconds", resource="taskruns")
        eventually("its pauses have grown", lambda: broken() > 12, 60)

        proxy.hidden = ""
        eventually("it sees again", lambda: broken() == 0, LONGEST_PAUSE_SECONDS + 5)
        relay.run("afterwards", "chain", input={"length": 3})
        check_all(relay, "afterwards")
        assert operator.text.count(" leading") == 1


def test_runs_continue_while_kopf_ends_repeatedly(
    idle_relay: Relay, proxy: FaultProxy, behind: Kubectl, tmp_path: Path
) -> None:
    relay = idle_relay
    with OperatorProcess(behind, tmp_path / "operator") as operator:
        start_some(relay)

        proxy.end_kopf()
        eventually("kopf was started again twice", lambda: restarts(operator) >= 2, 150)
        relay.run("meanwhile", "chain", input={"length": 3})
        check_all(relay, "works", "waits", "meanwhile")
        assert (operator.get("/healthz"), operator.get("/readyz")) == ("ok\n", "ok\n")

        # and without further errors, kopf continues to run
        proxy.ends_kopf = False
        ended = proxy.kopf_watches
        eventually("kopf watches again", lambda: proxy.kopf_watches > ended, 60)


def restarts(operator: OperatorProcess) -> int:
    return int(operator.metric("podrelay_kopf_restarts_total"))
