"""A briefly missing permission of a task's pod has no effect: with real tokens, RoleBindings and helm."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dev.harness.chart import CHART, helm
from dev.harness.kubectl import Kubectl, Manifest
from dev.harness.manifests import TASK_RUNS
from dev.harness.operator import OperatorProcess
from dev.harness.waiting import eventually
from tests.support import gated_tasks
from tests.support.gated_tasks import gates
from tests.support.namespaces import temporary_namespace
from tests.support.podfiles import PodFiles
from tests.support.pods import RUNNER
from tests.support.quick import QuickKubectl, collection
from tests.support.relay import Relay

pytestmark = pytest.mark.integration

MODULE = Path(gated_tasks.__file__)
OUTPUT = {"x": 1, "saved": {"saved": 1}}
HOOK = f"onDone {OUTPUT}"


@pytest.fixture
def own_relay(idle_relay: Relay, tmp_path: Path) -> Iterator[Relay]:
    """A separate namespace with an operator, whose RoleBinding no other test needs."""
    with OperatorProcess(idle_relay.kubectl, tmp_path / "operator"):
        yield idle_relay


def start(relay: Relay, name: str, *stops: str, **spec: object) -> None:
    relay.define("Gated", "gated", module=MODULE, hooks=["onDone"], podCleanup="Never", **spec)
    relay.run(name, "gated", input={"stops": list(stops)})


def reached(relay: Relay, name: str, step: str) -> None:
    eventually(f"{name} has reached its {step}", gates(relay.trace(name), step)[0].exists)


def go_on(relay: Relay, name: str, step: str) -> None:
    gates(relay.trace(name), step)[1].touch()


def may_write(kubectl: Kubectl) -> bool:
    account = f"system:serviceaccount:{kubectl.namespace}:{RUNNER}"
    return bool(kubectl("auth", "can-i", "update", "taskiterations.podrelay.dev", "--as", account))


def log_of(pod_logs: PodFiles, relay: Relay, pod: str) -> Callable[[], str]:
    return lambda: "".join(
        file.read_text(encoding="utf-8") for file in pod_logs.of(relay.kubectl.namespace, pod, "log")
    )


def take_away(kubectl: Kubectl) -> Manifest:
    """Delete the RoleBinding, and return a manifest to create it again."""
    binding = kubectl.get("rolebinding", RUNNER)
    kubectl.do("delete", "rolebinding", RUNNER)
    eventually("the right is gone", lambda: not may_write(kubectl))
    return {field: binding[field] for field in ("apiVersion", "kind", "roleRef", "subjects")} | {
        "metadata": {"name": RUNNER}
    }


def check_end(relay: Relay, name: str) -> None:
    status = relay.finished(name)
    assert (status["phase"], status["output"]) == ("Succeeded", OUTPUT), status
    assert (status.get("attempts", 0), status.get("disruptions", 0), status["iterations"]) == (0, 0, 1)
    assert relay.calls(name) == [(1, 1)]


@pytest.mark.parametrize("step", ["checkpoint", "answer", "hook"])
def test_writes_during_a_replacement_of_the_role_binding_arrive(
    own_relay: Relay, pod_logs: PodFiles, step: str
) -> None:
    relay = own_relay
    start(relay, step, step)
    reached(relay, step, step)
    log = log_of(pod_logs, relay, f"{step}-i1")

    binding = take_away(relay.kubectl)
    go_on(relay, step, step)
    eventually("it is refused", lambda: "is refused, retrying: 403" in log())
    assert relay.kubectl.create(binding)

    check_end(relay, step)
    relay.until(step, "the hook has been called", hooks=[{"name": "onDone", "outcome": "Succeeded"}])
    assert relay.trace(step).read_text().splitlines()[1:] == [HOOK]
    assert relay.pods(step) == [f"{step}-i1"]


def test_an_answer_without_permission_is_read_from_the_termination_message(own_relay: Relay) -> None:
    relay = own_relay
    start(relay, "left", "answer", iterationTimeoutSeconds=4, abortGracePeriodSeconds=6)
    reached(relay, "left", "answer")

    take_away(relay.kubectl)
    go_on(relay, "left", "answer")

    check_end(relay, "left")
    assert relay.record("left-i1")["response"] == {"status": "done", "output": OUTPUT}
    container = relay.kubectl.get("pods", "left-i1")["status"]["containerStatuses"][0]
    assert container["state"]["terminated"]["message"].startswith('{"response":{"status":"done"')


def test_an_answer_with_a_rejected_token_is_read_when_its_pod_is_deleted(own_relay: Relay, pod_logs: PodFiles) -> None:
    """A token ends with its service account; the API server may cache it for ten more seconds."""
    relay = own_relay
    start(relay, "token", "answer", abortGracePeriodSeconds=6)
    reached(relay, "token", "answer")
    (file,) = pod_logs.of(relay.kubectl.namespace, "token-i1", "serviceaccount/token")
    pod = QuickKubectl.instead_of(relay.kubectl).as_token(file.read_text(encoding="utf-8"))
    own_run = f"{collection(TASK_RUNS, relay.kubectl.namespace)}/token"
    assert pod.ask("GET", own_run)

    relay.kubectl.do("delete", "serviceaccount", RUNNER)
    eventually("the token is refused", lambda: pod.ask("GET", own_run).code == 401, 30)
    go_on(relay, "token", "answer")
    log = log_of(pod_logs, relay, "token-i1")
    eventually("it is refused", lambda: "is refused, retrying: 401" in log())
    relay.kubectl.do("delete", "pod", "token-i1", "--wait=false")

    check_end(relay, "token")
    assert relay.record("token-i1")["response"] == {"status": "done", "output": OUTPUT}


def test_a_pod_without_permission_at_its_start_waits_for_it(own_relay: Relay, pod_logs: PodFiles) -> None:
    relay = own_relay
    binding = take_away(relay.kubectl)
    start(relay, "early")

    log = log_of(pod_logs, relay, "early-i1")
    eventually("it is refused", lambda: "is refused, retrying: 403" in log())
    assert relay.kubectl.create(binding)

    check_end(relay, "early")


# --- the chart --------------------------------------------------------------------------------------------------------


@pytest.fixture
def chart(tmp_path: Path) -> Path:
    """The part of the chart for the namespaces of tasks, because tests share the other objects."""
    small = tmp_path / "chart"
    shutil.copytree(CHART, small, ignore=shutil.ignore_patterns("files", "*.yaml", "NOTES.txt"))
    (small / "files").mkdir()
    for file in ("Chart.yaml", "values.yaml", "templates/runner.yaml", "files/task-namespace.yaml"):
        shutil.copy(CHART / file, small / file)
    return small


def test_a_namespace_removed_from_task_namespaces_keeps_its_objects_and_may_be_added_again(
    admin: Kubectl, idle_relay: Relay, chart: Path, tmp_path: Path
) -> None:
    relay, namespace = idle_relay, idle_relay.kubectl.namespace
    relay.kubectl.do("delete", f"rolebinding/{RUNNER}", f"serviceaccount/{RUNNER}")

    def do(*arguments: str) -> None:
        done = helm(*arguments, f"--kubeconfig={admin.kubeconfig}", f"--namespace={namespace}")
        assert done.returncode == 0, done.stderr

    def deploy(other: str, *task_namespaces: str) -> None:
        do("upgrade", "--install", "podrelay", str(chart), f"--set=taskNamespaces={{{','.join(task_namespaces)}}}")

    with temporary_namespace(admin) as elsewhere, OperatorProcess(relay.kubectl, tmp_path / "operator"):
        other = elsewhere.namespace
        deploy(other, namespace, other)
        before = relay.kubectl.get("serviceaccount", RUNNER)["metadata"]["uid"]
        start(relay, "works", "answer")
        reached(relay, "works", "answer")

        deploy(other, other)
        assert may_write(relay.kubectl)
        go_on(relay, "works", "answer")
        check_end(relay, "works")

        deploy(other, namespace, other)
        do("rollback", "podrelay", "2")
        assert may_write(relay.kubectl)
        do("rollback", "podrelay", "1")
        do("uninstall", "podrelay")
        assert may_write(relay.kubectl)
        deploy(other, namespace)
        assert relay.kubectl.get("serviceaccount", RUNNER)["metadata"]["uid"] == before
        start(relay, "again")
        check_end(relay, "again")

        do("uninstall", "podrelay")
        relay.kubectl.do("delete", f"rolebinding/{RUNNER}", f"serviceaccount/{RUNNER}")
        deploy(other, namespace)
        assert may_write(relay.kubectl), "an object that was deleted by hand is created again"
