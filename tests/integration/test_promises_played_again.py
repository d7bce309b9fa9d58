"""Situations that once broke a promise of the relay: late watches, lost nodes, wrong clocks, reused names."""

import json
import os
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from dev.cluster import Cluster
from dev.harness.kubectl import Kubectl
from dev.harness.manifests import TASK_DEFINITIONS, TASK_ITERATIONS, TASK_RUNS, owner_reference, record, task_run
from dev.harness.operator import OperatorProcess
from dev.harness.waiting import eventually
from podrelay.api import names
from podrelay.kube.kill_points import ENV_DIE_AFTER_WRITE
from tests.support.audit import writes_of_the_operator
from tests.support.faultproxy import FaultProxy
from tests.support.namespaces import temporary_namespace
from tests.support.podfiles import PodFiles
from tests.support.pods import add_runner
from tests.support.quick import QuickKubectl
from tests.support.relay import FINISHED, Relay

pytestmark = pytest.mark.integration

FORCE = ("--force", "--grace-period=0", "--wait=false")


def works(relay: Relay, name: str) -> int:
    """Wait until a task that ignores signals runs; return its process id."""

    def process() -> int | None:
        text = relay.trace(name).read_text(encoding="utf-8") if relay.trace(name).exists() else ""
        return next((int(line.split()[1]) for line in text.splitlines() if line.startswith("process")), None)

    found = eventually("it works", process)
    assert found is not None
    return found


def is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def on_node(relay: Relay, node: str) -> dict[str, Any]:
    """Return a template whose pods are bound to a node without a kubelet: the test reports their status."""
    template = relay.template("Stubborn")
    template["spec"]["nodeName"] = node
    return template


def says_running(relay: Relay, pod: str, since: datetime) -> None:
    """Report the start of a container like a kubelet."""
    eventually("it has a pod", lambda: pod in relay.kubectl.names("pods"))
    state = {"running": {"startedAt": text_of(since)}}
    status = {
        "name": "task",
        "image": "local",
        "imageID": "",
        "ready": True,
        "started": True,
        "restartCount": 0,
        "state": state,
    }
    reported = relay.kubectl.set_status("pods", pod, {"phase": "Running", "containerStatuses": [status]})
    assert reported, str(reported)


def text_of(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


# --- running code ----------------------------------------------------------------------------------------------------


def test_an_abort_ends_a_pod_that_no_watch_has_shown(idle_relay: Relay, tmp_path: Path) -> None:
    """One operator creates the pod and dies before any status shows it; the next one's watch of pods lags.

    Its Lease is long, so that the run is aborted before the next one reconciles it for the first time.
    """
    relay = idle_relay
    relay.define("Stubborn", abortGracePeriodSeconds=1)
    dies = {ENV_DIE_AFTER_WRITE: "1"}
    with (
        FaultProxy(relay.kubectl.kubeconfig, 0, 0.0).serving() as proxy,
        OperatorProcess(relay.kubectl, tmp_path / "first", environment=dies) as first,
    ):
        behind = replace(relay.kubectl, kubeconfig=proxy.kubeconfig(tmp_path))
        with OperatorProcess(behind, tmp_path / "second") as second:
            proxy.lagging = "/pods"
            relay.run("unseen", "stubborn")
            process = works(relay, "unseen")
            eventually("the first one is dead", lambda: first.has_ended)
            assert "phase" not in relay.status("unseen")

            relay.abort("unseen")
            assert "leading" not in second.text
            relay.until("unseen", "its pod is being ended", 40, reason="Aborting")
            proxy.lagging = ""
            status = relay.finished("unseen", 40)

            assert (status["phase"], is_alive(process)) == ("Aborted", False)


def test_a_pod_on_a_lost_node_holds_its_slot_after_its_run_has_ended(relay: Relay, node: str) -> None:
    relay.define(
        "Stubborn",
        "lost",
        template=on_node(relay, node),
        abortGracePeriodSeconds=1,
        nodeLostTimeoutSeconds=1,
        concurrency={"key": "customer"},
    )
    relay.run("lost", "lost", input={"customer": 1})
    says_running(relay, "lost-i1", datetime.now(UTC))
    relay.run("next", "lost", input={"customer": 1})
    relay.until("next", "it is queued", reason="Queued")

    relay.kubectl.do("delete", "pod", "lost-i1", "--wait=false")
    relay.until("lost", "it is given up", 90, phase="Failed", reason="NodeLost")
    relay.run("other", "lost", input={"customer": 2})
    eventually("another customer's starts", lambda: relay.pods("other"))

    assert (relay.status("next")["reason"], relay.pods("next")) == ("Queued", [])
    relay.kubectl.do("delete", "pod", "lost-i1", *FORCE)
    eventually("an administrator has marked the node as shut down", lambda: relay.pods("next"))
    relay.kubectl.do("delete", TASK_RUNS, "lost", "next", "other", "--wait=false")
    relay.kubectl.do("delete", "pod", "next-i1", "other-i1", *FORCE)


@pytest.mark.parametrize("skew", [-60, 60], ids=["behind", "ahead"])
def test_no_healthy_task_is_ended_on_a_node_whose_clock_is_wrong_by_a_minute(
    relay: Relay, node: str, skew: int
) -> None:
    name = "behind" if skew < 0 else "ahead"
    relay.define("Stubborn", name, template=on_node(relay, node), heartbeatTimeoutSeconds=15, abortGracePeriodSeconds=1)

    def there() -> datetime:
        return datetime.now(UTC) + timedelta(seconds=skew)

    relay.run(name, name)
    says_running(relay, f"{name}-i1", there())
    pod = relay.kubectl.get("pods", f"{name}-i1")
    claimed = record(f"{name}-i1", pod_uid=pod["metadata"]["uid"], owner=relay.get(name), startedAt=text_of(there()))
    assert relay.kubectl.create(claimed)
    began = beaten_at = time.monotonic()

    def beats() -> bool:
        """Send a heartbeat every eleven seconds: a task that is not silent for fifteen seconds must not be ended."""
        nonlocal beaten_at
        if time.monotonic() - beaten_at > 11:
            beaten_at = time.monotonic()
            beaten = relay.kubectl.patch(TASK_ITERATIONS, f"{name}-i1", {"heartbeatAt": text_of(there())})
            assert beaten, str(beaten)
        return beaten_at - began > 30

    def ending() -> str | None:
        annotations: dict[str, str] = relay.kubectl.get("pods", f"{name}-i1")["metadata"]["annotations"]
        return annotations.get(names.ANNOTATION_ENDING_REASON) or annotations.get(names.ANNOTATION_ENDING_SINCE)

    eventually("it has sent heartbeats for longer than its heartbeat timeout", beats, 60)
    assert ending() is None
    assert relay.status(name)["reason"] == "IterationRunning"
    eventually("it is silent for too long", lambda: ending() == "HeartbeatTimeout", 50)
    relay.kubectl.do("delete", TASK_RUNS, name, "--wait=false")
    relay.kubectl.do("delete", "pod", f"{name}-i1", *FORCE)


# --- reused names ----------------------------------------------------------------------------------------------------


def test_a_run_is_not_judged_by_the_input_of_its_predecessor(relay: Relay) -> None:
    """When it is created, the input of its predecessor is still being checked, which takes a while."""
    branch: dict[str, Any] = {"type": "object", "properties": {"k": {"$ref": "#/$defs/node"}}, "required": ["k"]}
    tree = {"anyOf": [branch | {"title": "a"}, branch | {"title": "b"}, {"type": "null"}]}
    schema = {"properties": {"tree": {"$ref": "#/$defs/node"}}, "$defs": {"node": tree}}
    relay.define("Answer", "judged", inputSchema=schema, concurrency={"key": "customer"})
    deep: Any = "wrong"
    for _ in range(40):
        deep = {"k": deep}
    for attempt in range(3):
        relay.run("judged", "judged", input={"how": "done", "tree": deep, "customer": f"before {attempt}"})
        relay.kubectl.do("delete", TASK_RUNS, "judged")
    relay.run("judged", "judged", input={"how": "done", "tree": None, "customer": "own"})

    status = relay.finished("judged", 60)

    assert (status["phase"], status["concurrencyKey"]) == ("Succeeded", '"own"')
    assert relay.calls("judged") == [(1, 1)]


# --- fairness --------------------------------------------------------------------------------------------------------


@pytest.fixture
def two_teams(admin: Kubectl, installed: None, pod_logs: PodFiles, tmp_path: Path) -> Any:
    """Two namespaces with one operator, which the test starts with these flags."""
    with temporary_namespace(admin) as one, temporary_namespace(admin) as other:
        for team in (one, other):
            add_runner(team)
        folders = tmp_path / "one", tmp_path / "other"
        for folder in folders:
            folder.mkdir()
        yield tuple(
            Relay(QuickKubectl.instead_of(team), folder) for team, folder in zip((one, other), folders, strict=True)
        )


def test_runs_that_a_quota_rejects_do_not_delay_other_runs(two_teams: tuple[Relay, Relay], tmp_path: Path) -> None:
    refused, other = two_teams
    refused.kubectl.do("create", "quota", "none", "--hard=pods=0")
    eventually(
        "the quota is active", lambda: refused.kubectl.get("resourcequota", "none").get("status", {}).get("hard")
    )
    flags = ("--max-running-pods=2", f"--namespace={other.kubectl.namespace}")
    with OperatorProcess(refused.kubectl, tmp_path / "operator", flags=flags):
        for team in two_teams:
            team.define("Answer")
        for number in range(8):
            refused.run(f"refused{number}", "answer", input={"how": "done"})
        refused.until("refused0", "it is refused", reason="QuotaExceeded")

        other.run("other", "answer", input={"how": "done"})

        assert other.finished("other")["phase"] == "Succeeded"
        refused.kubectl.do("delete", "quota", "none")
        for number in range(8):
            assert refused.finished(f"refused{number}", 120)["phase"] == "Succeeded"


def test_a_burst_in_one_namespace_does_not_delay_another(two_teams: tuple[Relay, Relay], tmp_path: Path) -> None:
    busy, other = two_teams
    with OperatorProcess(busy.kubectl, tmp_path / "operator", flags=(f"--namespace={other.kubectl.namespace}",)):
        other.define_script("script", "true")
        busy.define_script("script", "true", suspend=True)
        for number in range(150):
            busy.run(f"busy{number}", "script")
        busy.until("busy149", "all of them wait", reason="DefinitionSuspended")
        assert busy.kubectl.patch(TASK_DEFINITIONS, "script", {"spec": {"suspend": False}})
        eventually("the burst begins", lambda: busy.kubectl.names("pods"))
        other.run("other", "script")

        assert other.finished("other")["phase"] == "Succeeded"
        listed = json.loads(busy.kubectl.do("get", TASK_RUNS, "-o", "json"))["items"]
        unfinished = [item for item in listed if item.get("status", {}).get("phase") not in FINISHED]
        assert len(unfinished) > 20, "it has overtaken most of them"


# --- parents and children --------------------------------------------------------------------------------------------


def test_an_abort_with_cascade_reaches_the_parents_pod_before_its_children(
    idle_relay: Relay, cluster: Cluster, tmp_path: Path
) -> None:
    relay = idle_relay
    relay.define("Stubborn", abortGracePeriodSeconds=1, triggers=["answer"])
    relay.define("Answer")
    count = 120
    with OperatorProcess(relay.kubectl, tmp_path / "operator"):
        relay.run("parent", "stubborn")
        works(relay, "parent")
        children = [f"child{number}" for number in range(count)]
        owners = {"ownerReferences": [owner_reference(relay.get("parent"))]}
        for name in children:
            later = task_run(name, "answer", metadata=owners, parent="parent", delaySeconds=3600)
            assert relay.kubectl.create(later)
        relay.until(children[-1], "it waits", reason="Delayed")
        abort = {"spec": {"abort": {"message": "enough", "cascade": True}}}
        assert relay.kubectl.patch(TASK_RUNS, "parent", abort)
        # A child that is created while the others are being aborted is aborted with them.
        relay.run("newborn", "answer", parent="parent", input={"how": "done"})
        for name in ("parent", "newborn", *children):
            assert relay.finished(name, 60)["phase"] in {"Aborted", "Failed"}
        assert relay.calls("newborn") == []

    assert cluster.audit_log is not None
    writes = writes_of_the_operator(cluster.audit_log, relay.kubectl.namespace)
    ends = writes.index("patch pods parent-i1")
    aborts = [place for place, write in enumerate(writes) if write.startswith("patch taskruns child")]
    assert ends < min(aborts)
