"""Pods that are removed from outside: the same iteration runs again, never two at once, and no attempt is counted."""

import pytest

from dev.harness.manifests import TASK_RUNS
from dev.harness.waiting import eventually
from tests.support.relay import Relay

pytestmark = pytest.mark.integration


def test_a_task_that_handles_the_deletion_of_its_pod_continues_in_the_next_pod(relay: Relay) -> None:
    relay.define("Sleep", abortGracePeriodSeconds=10)
    relay.run("heard", "sleep", input={"kept": 1})
    eventually("it works", lambda: relay.calls("heard"))

    relay.kubectl.do("delete", "pod", "heard-i1", "--wait=false")
    eventually("the next iteration works", lambda: (2, 1) in relay.calls("heard"), 30)
    status = relay.status("heard")
    relay.abort("heard")

    assert (status["iterations"], status.get("disruptions", 0)) == (2, 0)
    assert relay.record("heard-i1")["response"]["input"]["kept"] == 1
    assert relay.finished("heard")["phase"] == "Aborted"


@pytest.mark.parametrize("way", ["delete", "evict"])
def test_an_evicted_or_deleted_pod_is_replaced_when_it_is_gone(relay: Relay, way: str) -> None:
    relay.define("Stubborn", abortGracePeriodSeconds=1)
    relay.run(way, "stubborn")
    eventually("it works", lambda: relay.calls(way))

    if way == "delete":
        relay.kubectl.do("delete", "pod", f"{way}-i1", "--wait=false")
    else:
        relay.evict(f"{way}-i1")
    eventually("the same iteration works again", lambda: relay.calls(way) == [(1, 1), (1, 2)], 30)
    status = relay.status(way)
    relay.abort(way)

    assert (status["iterations"], status["disruptions"], status.get("attempts", 0)) == (1, 1, 0)
    assert status["recentIterations"][0]["answer"] == "disrupted"
    assert relay.pods(way) == [f"{way}-i1t2"]
    relay.finished(way)


def test_a_pod_that_is_deleted_by_force_is_replaced_after_its_token_has_expired(relay: Relay) -> None:
    relay.define("Stubborn", abortGracePeriodSeconds=1)
    relay.run("force", "stubborn")
    eventually("it works", lambda: relay.calls("force"))

    # Without its finalizer the pod is gone at once, before its kubelet can report that the container has ended.
    relay.kubectl.patch("pods", "force-i1", {"metadata": {"finalizers": None}})
    relay.kubectl.do("delete", "pod", "force-i1", "--force", "--grace-period=0", "--wait=false")
    waiting = relay.until("force", "it waits until the token has expired", reason="Disrupted")
    eventually("the same iteration works again", lambda: relay.calls("force") == [(1, 1), (1, 2)], 40)
    relay.abort("force")

    assert waiting["phase"] == "Running"
    assert "nextIterationAt" in waiting
    relay.finished("force")


def test_a_run_that_loses_too_many_pods_fails(relay: Relay) -> None:
    relay.define("Stubborn", abortGracePeriodSeconds=1, disruptionRetries=0)
    relay.run("unlucky", "stubborn")
    eventually("it works", lambda: relay.calls("unlucky"))

    relay.kubectl.do("delete", "pod", "unlucky-i1", "--wait=false")
    status = relay.finished("unlucky")

    assert (status["phase"], status["reason"]) == ("Failed", "Disrupted")
    assert "disruptionRetries allows 0" in status["message"]
    relay.define("Stubborn")


def test_a_pod_that_loses_its_label_is_not_considered_gone(relay: Relay) -> None:
    relay.define("Sleep")
    relay.run("label", "sleep")
    eventually("it works", lambda: relay.calls("label"))

    relay.kubectl.do("label", "pod", "label-i1", "podrelay.dev/run-")
    eventually("it has its label again", lambda: relay.pods("label") == ["label-i1"])
    relay.abort("label")

    assert relay.finished("label")["phase"] == "Aborted"
    assert relay.calls("label") == [(1, 1)]


def test_a_suspended_run_resumes_where_it_was(relay: Relay) -> None:
    relay.define("Chain")
    relay.run("pause", "chain", input={"length": 2}, suspend=True)

    suspended = relay.until("pause", "it is suspended", reason="Suspended")
    relay.kubectl.patch(TASK_RUNS, "pause", {"spec": {"suspend": False}})

    assert suspended["phase"] == "Pending"
    assert relay.finished("pause")["phase"] == "Succeeded"
