"""Pods with the finalizer are removed in time, regardless of who deletes them, with and without an operator."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from dev.harness import forked
from dev.harness.kubectl import Kubectl
from dev.harness.manifests import TASK_DEFINITIONS, TASK_RUNS
from dev.harness.operator import OperatorProcess
from dev.harness.waiting import eventually
from podrelay.api import names
from tests.support.namespaces import temporary_namespace
from tests.support.podfiles import PodFiles
from tests.support.pods import add_runner
from tests.support.quick import QuickKubectl
from tests.support.relay import Relay

pytestmark = pytest.mark.integration

FOREIGN = "example.com/audit"
POLITE = """
trace=$(printf %s "$PODRELAY_INPUT" | sed 's/.*"trace":"\\([^"]*\\)".*/\\1/')
trap 'printf "{\\"status\\":\\"done\\"}" > /dev/termination-log; exit 0' TERM
echo "$PODRELAY_ITERATION $PODRELAY_TRY" >> "$trace"
while true; do sleep 0.1; done
"""


def works(relay: Relay, name: str) -> int:
    """Wait until a task that ignores signals runs; return its process id."""

    def process() -> int | None:
        text = relay.trace(name).read_text(encoding="utf-8") if relay.trace(name).exists() else ""
        return next((int(line.split()[1]) for line in text.splitlines() if line.startswith("process")), None)

    found = eventually("it works", process)
    assert found is not None
    return found


def finalizers(relay: Relay, pod: str) -> list[str]:
    found: list[str] = relay.kubectl.get("pods", pod)["metadata"].get("finalizers", [])
    return found


@pytest.fixture
def doomed(admin: Kubectl, installed: None, pod_logs: PodFiles, tmp_path: Path) -> Iterator[Relay]:
    """A namespace that the test deletes; its operator has the Lease elsewhere."""
    with temporary_namespace(admin) as elsewhere, temporary_namespace(admin) as inside:
        add_runner(inside)
        flags = (f"--lease-namespace={elsewhere.namespace}",)
        with OperatorProcess(inside, tmp_path / "operator", flags=flags):
            yield Relay(QuickKubectl.instead_of(inside), tmp_path)


# --- with an operator ------------------------------------------------------------------------------------------------


def test_a_namespace_can_be_deleted_whose_pods_answer_meanwhile(doomed: Relay, admin: Kubectl) -> None:
    """Their answers can no longer be stored, and the runs are deleted only after the pods."""
    doomed.define_script("polite", POLITE, abortGracePeriodSeconds=5)
    doomed.run("polite", "polite")
    eventually("it works", lambda: doomed.calls("polite"))

    admin.do("delete", "namespace", doomed.kubectl.namespace, "--timeout=40s")


def test_a_namespace_with_pods_at_every_stage_can_be_deleted(doomed: Relay, admin: Kubectl) -> None:
    doomed.define("Stubborn", abortGracePeriodSeconds=1, hooks=["onError"])
    doomed.define("Answer", podCleanup="Never")
    doomed.define("Chain", maxConcurrentRuns=1)
    doomed.define("Scribble", "unplaced", template=_unplaced(doomed))
    for name, definition, given in (
        ("works", "stubborn", {}),
        ("crashed", "stubborn", {}),
        ("done", "answer", {"how": "done"}),
        ("waits", "chain", {"length": 2, "seconds": 600}),
        ("unplaced", "unplaced", {}),
    ):
        doomed.run(name, definition, input=given)
    works(doomed, "works")
    os.kill(works(doomed, "crashed"), signal.SIGKILL)
    doomed.finished("done")
    doomed.until("waits", "it waits", reason="Waiting")
    eventually("it has a pod without a node", lambda: doomed.pods("unplaced"))

    admin.do("delete", "namespace", doomed.kubectl.namespace, "--timeout=40s")


def _unplaced(relay: Relay) -> dict[str, object]:
    template = relay.template("Scribble")
    template["spec"]["nodeSelector"] = {"example.com/nowhere": "true"}
    return template


def test_a_pod_can_be_deleted_while_the_hooks_of_its_run_wait_for_a_slot(idle_relay: Relay, tmp_path: Path) -> None:
    relay = idle_relay
    relay.define("Stubborn", hooks=["onError"])
    relay.define("Sleep")
    with OperatorProcess(relay.kubectl, tmp_path / "operator", flags=("--max-running-pods=1",)):
        relay.run("crashes", "stubborn")
        process = works(relay, "crashes")
        relay.run("next", "sleep")
        relay.until("next", "it is queued", reason="Queued")
        os.kill(process, signal.SIGKILL)
        relay.until("crashes", "its end is shown", phase="Failed", hooksDue=["onError"])
        eventually("the other one works", lambda: relay.calls("next"))

        relay.kubectl.do("delete", "pod", "crashes-i1", "--timeout=20s")

        assert "hooks" not in relay.status("crashes"), "its hook still waits"
        relay.abort("next")
        eventually("it is called", lambda: relay.status("crashes").get("hooks"))


def test_a_pod_can_be_drained_whose_definition_is_gone(relay: Relay) -> None:
    relay.define("Stubborn", "withdrawn", abortGracePeriodSeconds=1)
    relay.run("withdrawn", "withdrawn")
    works(relay, "withdrawn")
    relay.kubectl.do("delete", TASK_DEFINITIONS, "withdrawn")

    relay.evict("withdrawn-i1")
    relay.kubectl.do("wait", "--for=delete", "pod/withdrawn-i1", "--timeout=20s")

    relay.until("withdrawn", "it waits for its definition", reason="DefinitionNotFound")
    relay.define("Stubborn", "withdrawn", abortGracePeriodSeconds=1)
    eventually("the same iteration works again", lambda: relay.calls("withdrawn") == [(1, 1), (1, 2)])
    relay.abort("withdrawn")
    relay.finished("withdrawn")


def test_many_runs_that_are_deleted_together_do_not_exceed_the_limit_of_pods(relay: Relay) -> None:
    relay.define("Stubborn", "many", abortGracePeriodSeconds=1, maxConcurrentRuns=2)
    for number in range(12):
        relay.run(f"many{number}", "many")
    for number in range(2):
        works(relay, f"many{number}")

    relay.kubectl.do("delete", TASK_RUNS, *(f"many{number}" for number in range(12)), "--wait=false")
    most = 0

    def all_gone() -> bool:
        nonlocal most
        pods = json.loads(relay.kubectl.do("get", "pods", "-l", "podrelay.dev/definition=many", "-o", "json"))["items"]
        running = [pod for pod in pods if pod["status"].get("phase") not in {"Succeeded", "Failed"}]
        most = max(most, len(running))
        return not pods

    eventually("all pods are gone", all_gone, 60)
    assert most <= 2


# --- after the operator ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("flags", [(), ("--force", "--grace-period=0")], ids=["deleted", "by force"])
def test_the_next_operator_continues_where_pods_were_deleted_meanwhile(
    idle_relay: Relay, tmp_path: Path, flags: tuple[str, ...]
) -> None:
    relay = idle_relay
    relay.define("Stubborn", abortGracePeriodSeconds=1)
    with OperatorProcess(relay.kubectl, tmp_path / "operator"):
        for name in ("kept", "gone"):
            relay.run(name, "stubborn")
            works(relay, name)
    relay.kubectl.do("delete", "pod", "kept-i1", "gone-i1", *flags, "--wait=false")
    relay.kubectl.do("delete", TASK_RUNS, "gone", "--wait=false")

    with OperatorProcess(relay.kubectl, tmp_path / "operator"):
        eventually("the run continues", lambda: relay.calls("kept") == [(1, 1), (1, 2)])
        eventually("its former pod is gone", lambda: relay.pods("kept") == ["kept-i1t2"])
        eventually("nothing is left of the other", lambda: relay.pods("gone") == [])
        relay.abort("kept")
        relay.finished("kept")


def test_cleanup_releases_pods_without_an_operator(idle_relay: Relay, admin: Kubectl, tmp_path: Path) -> None:
    relay = idle_relay
    relay.define("Stubborn", abortGracePeriodSeconds=1)
    with OperatorProcess(relay.kubectl, tmp_path / "operator"):
        for name in ("works", "audited"):
            relay.run(name, "stubborn")
            works(relay, name)
    both = {"metadata": {"finalizers": [FOREIGN, names.ANSWER_FINALIZER]}}
    assert relay.kubectl.patch("pods", "audited-i1", both)
    relay.kubectl.do("delete", TASK_RUNS, "works", "--wait=false")
    eventually("garbage collection deletes its pod", lambda: _is_deleted(relay, "works-i1"))

    lines = cleanup(relay, "--dry-run")
    assert lines == [f"pod/{name}-i1 in {relay.kubectl.namespace} would be released" for name in ("audited", "works")]
    assert finalizers(relay, "works-i1") == [names.ANSWER_FINALIZER]
    lines = cleanup(relay)

    assert lines == [f"pod/{name}-i1 in {relay.kubectl.namespace} released" for name in ("audited", "works")]
    assert finalizers(relay, "audited-i1") == [FOREIGN]
    relay.kubectl.do("wait", "--for=delete", "pod/works-i1", "--timeout=20s")
    assert cleanup(relay) == []
    assert relay.kubectl.patch("pods", "audited-i1", {"metadata": {"finalizers": None}})
    admin.do("delete", "namespace", relay.kubectl.namespace, "--timeout=40s")


def _is_deleted(relay: Relay, pod: str) -> bool:
    return "deletionTimestamp" in relay.kubectl.get("pods", pod)["metadata"]


def cleanup(relay: Relay, *flags: str) -> list[str]:
    place = [f"--kubeconfig={relay.kubectl.kubeconfig}", "-n", relay.kubectl.namespace]
    ended = forked.command(["cleanup", *place, *flags], relay.kubectl.env)
    assert ended.returncode == 0, ended
    return sorted(ended.stdout.splitlines())
