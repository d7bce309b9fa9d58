"""A run that loses its pod or node: the iteration runs again, never twice at once, and never hangs; on real nodes."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest

from dev.harness.manifests import Manifest
from dev.harness.waiting import eventually
from tests.support.nodes import CONTROL_PLANE, OUT_OF_SERVICE, Nodes, preferring, tolerating
from tests.support.realpods import RealRelay

pytestmark = pytest.mark.e2e

UNREACHABLE = "node.kubernetes.io/unreachable"


def until_it_works(relay: RealRelay, pod: str) -> None:
    def says_so() -> bool:
        return not {"sleeping", "deaf"}.isdisjoint(relay.kubectl("logs", pod).stdout.splitlines())

    eventually(f"{pod} works", says_so, 60)


def may_run(pod: Manifest) -> bool:
    """Return whether the container of a pod has not ended; Podrelay's finalizer keeps the pod a moment longer."""
    states = [status.get("state", {}) for status in pod["status"].get("containerStatuses", [])]
    has_ended = pod["status"].get("phase") in {"Succeeded", "Failed"} or any("terminated" in state for state in states)
    return not has_ended


def until_replaced(relay: RealRelay, run: str, seconds: float = 60) -> Manifest:
    """Wait for the second attempt of the first iteration; fail if both pods could run at once at any time."""

    def is_there() -> bool:
        listed = relay.kubectl("get", "pods", "-l", f"podrelay.dev/run={run}", "-o", "json")
        pods = [pod["metadata"]["name"] for pod in json.loads(listed.stdout)["items"] if may_run(pod)]
        assert len(pods) < 2, pods
        return pods == [f"{run}-i1t2"]

    eventually(f"{run} has another pod", is_there, seconds)
    return relay.pod(f"{run}-i1t2")


def counts(status: Manifest) -> tuple[int, int, int]:
    return status["iterations"], status.get("attempts", 0), status.get("disruptions", 0)


def is_stalled(status: Manifest) -> bool:
    return any(item["type"] == "Stalled" and item["status"] == "True" for item in status["conditions"])


def created(pod: Manifest) -> datetime:
    return datetime.fromisoformat(pod["metadata"]["creationTimestamp"])


def seconds_between(status: Manifest, replacement: Manifest) -> float:
    """Return the time between the end of the previous pod and the creation of the next one; both are whole seconds."""
    gone_at = datetime.fromisoformat(status["recentIterations"][0]["finishedAt"])
    return (created(replacement) - gone_at).total_seconds()


@contextmanager
def drained(nodes: Nodes, node: str) -> Iterator[None]:
    try:
        nodes.drain(node)
        yield
    finally:
        nodes.uncordon(node)


# --- the node is healthy ----------------------------------------------------------------------------------------------


def test_a_drained_node_costs_no_attempt_and_a_task_that_handles_sigterm_loses_no_work(
    relay: RealRelay, nodes: Nodes
) -> None:
    node, other = nodes.workers()
    relay.define("Sleep", abortGracePeriodSeconds=10, pod=preferring(node))
    relay.define("Stubborn", abortGracePeriodSeconds=1, pod=preferring(node))
    relay.run("hears", "sleep", input={"kept": 1})
    relay.run("deaf", "stubborn")
    until_it_works(relay, "hears-i1")
    until_it_works(relay, "deaf-i1")

    with drained(nodes, node):
        until_it_works(relay, "hears-i2")
        until_it_works(relay, "deaf-i1t2")

    assert counts(relay.status("hears")) == (2, 0, 0)
    assert relay.record("hears-i1")["response"]["input"]["kept"] == 1
    assert counts(relay.status("deaf")) == (1, 0, 1)
    for before, after in (("hears-i1", "hears-i2"), ("deaf-i1", "deaf-i1t2")):
        assert (relay.record(before)["nodeName"], relay.record(after)["nodeName"]) == (node, other)


@pytest.mark.parametrize("way", ["delete", "evict"])
def test_a_deleted_or_evicted_pod_is_replaced_when_it_is_gone(relay: RealRelay, way: str) -> None:
    relay.define("Stubborn", abortGracePeriodSeconds=3)
    relay.run(way, "stubborn")
    until_it_works(relay, f"{way}-i1")

    if way == "delete":
        relay.kubectl.do("delete", "pod", f"{way}-i1", "--wait=false")
    else:
        relay.evict(f"{way}-i1")
    until_replaced(relay, way)

    status = relay.until(way, "the replacement is running", reason="IterationRunning")
    assert counts(status) == (1, 0, 1)
    assert status["recentIterations"][0]["answer"] == "disrupted"


def test_a_force_deleted_pod_is_replaced_15_seconds_later(relay: RealRelay) -> None:
    relay.define("Stubborn")
    relay.run("force", "stubborn")
    until_it_works(relay, "force-i1")

    deleted_at = datetime.now(UTC)
    relay.kubectl.do("delete", "pod", "force-i1", "--force", "--grace-period=0")
    relay.until("force", "it waits until the token is invalid", reason="Disrupted")
    replacement = until_replaced(relay, "force")

    assert (created(replacement) - deleted_at).total_seconds() > 14  # creationTimestamp has whole seconds
    assert counts(relay.status("force")) == (1, 0, 1)


def test_a_preempted_pod_is_replaced(relay: RealRelay, nodes: Nodes) -> None:
    node, _ = nodes.workers()
    relay.define("Stubborn", abortGracePeriodSeconds=1, pod=preferring(node), resources={"requests": {"cpu": "1100m"}})
    relay.run("lesser", "stubborn")
    until_it_works(relay, "lesser-i1")

    with relay.important_pod(node, "1100m"):
        replacement = until_replaced(relay, "lesser")

    assert replacement["spec"].get("nodeName") != node
    assert counts(relay.status("lesser")) == (1, 0, 1)
    relay.abort("lesser")


def test_a_pod_that_its_node_rejects_is_replaced_at_once_but_not_forever(relay: RealRelay, nodes: Nodes) -> None:
    node, _ = nodes.workers()
    refused = {"nodeName": node, "nodeSelector": {"podrelay.dev/no-node": "has-this"}}
    relay.define("Answer", name="refused", pod=refused, disruptionRetries=2)
    relay.run("refused", "refused", input={"how": "done"})

    status = relay.finished("refused", 30)

    assert (status["phase"], status["reason"]) == ("Failed", "Disrupted")
    assert "NodeAffinity" in status["message"]
    assert [(item["try"], item["answer"]) for item in status["recentIterations"]] == [
        (3, "disrupted"),
        (2, "disrupted"),
        (1, "disrupted"),
    ]


def test_a_task_that_is_evicted_for_its_own_disk_usage_has_failed(relay: RealRelay) -> None:
    relay.define("Scribble", resources={"limits": {"ephemeral-storage": "1Mi"}})
    relay.run("scribble", "scribble")

    status = relay.finished("scribble", 90)

    assert (status["phase"], status["reason"], status.get("disruptions", 0)) == ("Failed", "Evicted", 0)
    assert "1Mi" in status["message"]


# --- the node is lost: one loses its power, the Node of the other is deleted, and both affect all runs below ----------


@pytest.fixture(scope="module")
def lost(relay: RealRelay, nodes: Nodes) -> Iterator[str]:
    """The worker that lost its power while it had pods of the runs below; the other's Node is missing for a time."""
    node, other = nodes.workers()
    quick: dict[str, Any] = {"abortGracePeriodSeconds": 1, "nodeLostTimeoutSeconds": 10}
    at_once = {"tolerations": [tolerating(UNREACHABLE, 0)]}
    patiently = {"tolerations": [tolerating("node.kubernetes.io/out-of-service", 300)]}
    anywhere = {"tolerations": [{"key": CONTROL_PLANE, "operator": "Exists"}]}
    relay.define("Sleep", name="lost", pod=preferring(node), **quick)
    relay.define("Sleep", name="tainted", abortGracePeriodSeconds=1, pod=preferring(node) | at_once)
    relay.define("Stubborn", name="orphaned", abortGracePeriodSeconds=1, pod=preferring(other) | anywhere)
    relay.define("Sleep", name="patient", abortGracePeriodSeconds=1, pod=preferring(node) | patiently)
    runs = {run: run for run in ("tainted", "orphaned", "patient")} | {"deleted": "lost", "aborted": "lost"}
    for run, definition in runs.items():
        relay.run(run, definition)
    for run in runs:
        until_it_works(relay, f"{run}-i1")
    assert {relay.record(f"{run}-i1")["nodeName"] for run in runs if run != "orphaned"} == {node}
    assert relay.record("orphaned-i1")["nodeName"] == other
    nodes.remove(other)
    try:
        nodes.cut_the_power(node)
        relay.kubectl.do("delete", "pod", "deleted-i1", "--wait=false")
        relay.abort("aborted")
        yield node
    finally:
        nodes.put_back()
        nodes.switch_on(node)
        nodes.kubectl("taint", "node", node, f"{OUT_OF_SERVICE}-")
        nodes.until_ready(node, other)


def test_a_pod_that_is_deleted_on_a_lost_node_is_never_replaced(relay: RealRelay, lost: str) -> None:
    stalled = relay.until("deleted", "the node is reported as lost", 60, reason="NodeLost")
    ended = relay.finished("deleted", 30)

    assert is_stalled(stalled)
    assert f"pod deleted-i1 on node {lost} does not terminate" in stalled["message"]
    assert (ended["phase"], ended["reason"], counts(ended)) == ("Failed", "NodeLost", (1, 0, 0))
    assert relay.pods("deleted") == ["deleted-i1"]


def test_an_abort_on_a_lost_node_ends_as_aborted(relay: RealRelay, lost: str) -> None:
    stalled = relay.until("aborted", "the node is reported as lost", 90, reason="NodeLost")
    ended = relay.finished("aborted", 30)

    assert is_stalled(stalled)
    assert f"pod aborted-i1 on node {lost} does not terminate" in stalled["message"]
    assert (ended["phase"], ended["reason"]) == ("Aborted", "NodeLost")
    assert relay.pods("aborted") == ["aborted-i1"]


@pytest.mark.usefixtures("lost")
def test_a_pod_whose_node_was_removed_is_replaced_15_seconds_after_it_was_collected(
    relay: RealRelay, nodes: Nodes
) -> None:
    replacement = until_replaced(relay, "orphaned", 120)

    status = relay.until("orphaned", "the replacement is running", reason="IterationRunning")
    assert status["recentIterations"][0]["answer"] == "disrupted"
    assert seconds_between(status, replacement) >= 14
    assert counts(status) == (1, 0, 1)
    nodes.put_back()


def test_a_pod_that_its_lost_node_holds_is_replaced_once_the_node_is_declared_out_of_service(
    relay: RealRelay, nodes: Nodes, lost: str
) -> None:
    stalled = relay.until("tainted", "the node is reported as lost", 120, reason="NodeLost")
    reasons = [item["reason"] for item in relay.pod("tainted-i1")["status"]["conditions"] if "reason" in item]
    before = relay.pods("tainted")

    nodes.kubectl.do("taint", "node", lost, OUT_OF_SERVICE)
    replacement = until_replaced(relay, "tainted", 100)

    assert is_stalled(stalled)
    assert "DeletionByTaintManager" in reasons
    assert before == ["tainted-i1"]
    # It cannot be scheduled to any node, which the run's reason says a moment later.
    eventually(
        "the status names it", lambda: relay.status("tainted").get("current", {}).get("podName") == "tainted-i1t2"
    )
    status = relay.status("tainted")
    assert seconds_between(status, replacement) >= 14
    assert counts(status) == (1, 0, 1)


def test_a_pod_that_went_down_with_its_node_is_replaced_when_the_node_is_back(
    relay: RealRelay, nodes: Nodes, lost: str
) -> None:
    before = relay.pods("patient")

    nodes.switch_on(lost)
    eventually("it has another pod", lambda: "patient-i1t2" in relay.pods("patient"), 60)
    until_it_works(relay, "patient-i1t2")

    assert before == ["patient-i1"]
    status = relay.until("patient", "the replacement is running", reason="IterationRunning")
    assert f"went down with its node {lost}" in status["recentIterations"][0]["message"]
    assert counts(status) == (1, 0, 1)
