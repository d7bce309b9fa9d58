"""Ends of pods: the work of a pod is neither lost nor repeated, and no pod outlives its slot."""

import json
import os
import signal
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from dev.harness.kubectl import Kubectl
from dev.harness.manifests import TASK_DEFINITIONS, TASK_RUNS, task_run
from dev.harness.operator import OperatorProcess
from dev.harness.waiting import eventually
from podrelay.api import names
from tests.support.relay import Relay

pytestmark = pytest.mark.integration

ONCE = """
trace=$(printf %s "$PODRELAY_INPUT" | sed 's/.*"trace":"\\([^"]*\\)".*/\\1/')
echo "$PODRELAY_ITERATION $PODRELAY_TRY" >> "$trace"
"""


def has_ended(relay: Relay, pod: str) -> bool:
    """Return whether a pod ended at least a second ago: times have a resolution of seconds."""
    status = relay.kubectl.get("pods", pod).get("status", {})
    if status.get("phase") not in {"Succeeded", "Failed"}:
        return False
    (container,) = status["containerStatuses"]
    ended = datetime.fromisoformat(container["state"]["terminated"]["finishedAt"])
    return datetime.now(UTC) >= ended + timedelta(seconds=1)


def process_of(relay: Relay, name: str) -> int:
    """Return the process id of a task that ignores signals."""
    lines = relay.trace(name).read_text(encoding="utf-8").splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("process")))


def is_there(relay: Relay, kind: str, name: str) -> bool:
    return name in relay.kubectl.names(kind)


# --- the answer of a pod counts, regardless of who deletes it --------------------------------------------------------


def test_an_answered_pod_that_is_deleted_unseen_does_not_run_again(idle_relay: Relay, tmp_path: Path) -> None:
    relay = idle_relay
    relay.define_script("charge", f"{ONCE}\nsleep 2\n")
    with OperatorProcess(relay.kubectl, tmp_path / "operator"):
        relay.run("order", "charge")
        eventually("it works", lambda: relay.calls("order"))
    eventually("its pod has ended", lambda: has_ended(relay, "order-i1"))
    relay.kubectl.do("delete", "pod", "order-i1", "--wait=false")

    with OperatorProcess(relay.kubectl, tmp_path / "operator"):
        status = relay.finished("order")
        eventually("the pod is gone", lambda: relay.pods("order") == [])

    assert (status["phase"], relay.calls("order")) == ("Succeeded", [(1, 1)])


def test_a_crash_is_not_a_disruption_although_its_pod_is_deleted_unseen(idle_relay: Relay, tmp_path: Path) -> None:
    relay = idle_relay
    relay.define("Stubborn")
    with OperatorProcess(relay.kubectl, tmp_path / "operator"):
        relay.run("crash", "stubborn")
        eventually("it works", lambda: relay.trace("crash").exists() and "process" in relay.trace("crash").read_text())
    os.kill(process_of(relay, "crash"), signal.SIGABRT)
    eventually("its pod has ended", lambda: has_ended(relay, "crash-i1"))
    relay.kubectl.do("delete", "pod", "crash-i1", "--wait=false")

    with OperatorProcess(relay.kubectl, tmp_path / "operator"):
        status = relay.finished("crash")

    assert (status["phase"], relay.calls("crash")) == ("Failed", [(1, 1)])
    assert "SIGABRT" in status["message"]


def test_a_drained_pod_with_a_foreign_finalizer_is_replaced_when_it_has_ended(relay: Relay) -> None:
    relay.define("Stubborn", abortGracePeriodSeconds=1)
    relay.run("audited", "stubborn")
    eventually("it works", lambda: relay.calls("audited"))
    finalizers = {"metadata": {"finalizers": ["example.com/audit", names.ANSWER_FINALIZER]}}
    assert relay.kubectl.patch("pods", "audited-i1", finalizers)

    relay.evict("audited-i1")
    eventually("the same iteration works again", lambda: relay.calls("audited") == [(1, 1), (1, 2)])

    assert relay.kubectl.get("pods", "audited-i1")["metadata"]["finalizers"] == ["example.com/audit"]
    assert relay.status("audited")["reason"] == "IterationRunning"
    assert relay.kubectl.patch("pods", "audited-i1", {"metadata": {"finalizers": None}})
    relay.abort("audited")
    relay.finished("audited")


# --- a slot belongs to the pod ---------------------------------------------------------------------------------------


def test_a_deleted_run_keeps_its_slot_while_its_code_runs(relay: Relay) -> None:
    relay.define("Stubborn", "deaf", abortGracePeriodSeconds=5, maxConcurrentRuns=1, id="deaf")
    relay.run("deleted", "deaf")
    eventually("it works", lambda: relay.trace("deleted").exists() and "process" in relay.trace("deleted").read_text())
    relay.run("waits", "deaf")
    relay.until("waits", "it is queued", reason="Queued")
    process = process_of(relay, "deleted")

    relay.kubectl.do("delete", TASK_RUNS, "deleted", "--wait=false")
    was_alive = is_alive(process)
    eventually("the other one works", lambda: relay.calls("waits"), 40)

    assert was_alive, "it ignores signals"
    assert not is_alive(process)
    relay.abort("waits")
    relay.finished("waits")


def is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_run_with_a_reused_name_waits_for_the_pod_of_the_previous_run(relay: Relay) -> None:
    relay.define("Stubborn", "deafer", abortGracePeriodSeconds=5, maxConcurrentRuns=1, id="deafer")
    relay.run("again", "deafer")
    eventually("it works", lambda: relay.trace("again").exists() and "process" in relay.trace("again").read_text())
    process = process_of(relay, "again")

    relay.kubectl.do("delete", TASK_RUNS, "again", "--wait=false")
    eventually("its name is free", lambda: not is_there(relay, TASK_RUNS, "again"))
    relay.run("again", "deafer")
    eventually("it works again", lambda: len(relay.calls("again")) == 2, 40)

    assert not is_alive(process)
    relay.abort("again")
    relay.finished("again")


# --- runs that are deleted -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("spec", [{}, {"abort": {"message": "enough"}}])
def test_a_run_that_a_foreign_finalizer_keeps_is_stopped(relay: Relay, spec: dict[str, Any]) -> None:
    name = "kept-aborted" if spec else "kept"
    relay.define("Stubborn", "held", abortGracePeriodSeconds=1, maxConcurrentRuns=1, id="held")
    relay.run(name, "held")
    eventually("it works", lambda: relay.calls(name))
    assert relay.kubectl.patch(TASK_RUNS, name, {"metadata": {"finalizers": ["example.com/audit"]}})
    relay.kubectl.do("delete", TASK_RUNS, name, "--wait=false")
    if spec:
        assert relay.kubectl.patch(TASK_RUNS, name, {"spec": spec})

    relay.until(name, "it is stopped", phase="Aborted", reason="Deleted")
    eventually("its pod has ended", lambda: all(has_ended(relay, pod) for pod in relay.pods(name)))
    relay.run(f"{name}-next", "held")
    eventually("its slot is free", lambda: relay.calls(f"{name}-next"))

    assert relay.kubectl.patch(TASK_RUNS, name, {"metadata": {"finalizers": None}})
    eventually("nothing of it is left", lambda: not relay.pods(name) and not is_there(relay, TASK_RUNS, name))
    relay.abort(f"{name}-next")
    relay.finished(f"{name}-next")


@pytest.mark.parametrize("cascade", ["background", "foreground"])
def test_nothing_is_left_of_a_deleted_run(relay: Relay, cascade: str) -> None:
    relay.define("Chain", "linked", podCleanup="Never", id="linked")
    relay.run(cascade, "linked", input={"length": 2})
    relay.finished(cascade)

    relay.kubectl.do("delete", TASK_RUNS, cascade, f"--cascade={cascade}", "--timeout=20s")

    eventually("its pods are gone", lambda: relay.pods(cascade) == [])


def test_a_namespace_with_running_runs_can_be_deleted(relay: Relay, admin: Kubectl, tmp_path: Path) -> None:
    from tests.support.namespaces import temporary_namespace
    from tests.support.pods import add_runner

    with temporary_namespace(admin) as inside:
        add_runner(inside)
        there = Relay(inside, tmp_path)
        there.define("Stubborn", abortGracePeriodSeconds=1)
        flags = (f"--lease-namespace={relay.kubectl.namespace}", "--lease-name=theirs")
        with OperatorProcess(inside, tmp_path / "operator", flags=flags):
            there.run("working", "stubborn")
            eventually("it works", lambda: there.calls("working"))
            admin.do("delete", "namespace", inside.namespace, "--timeout=60s")


# --- definitions, hooks, backups -------------------------------------------------------------------------------------


def test_a_hook_that_is_added_later_is_not_called_for_finished_runs(relay: Relay) -> None:
    relay.define("Hooked", "later", id="later")
    for number in range(3):
        relay.run(f"later-{number}", "later", input={"how": "done"})
        relay.finished(f"later-{number}")

    relay.define("Hooked", "later", id="later", hooks=["onDone"])
    relay.run("later-3", "later", input={"how": "done"})
    eventually("the new one calls its hook", lambda: relay.status("later-3").get("hooks"))

    assert [relay.hook_calls(f"later-{number}") for number in range(3)] == [[], [], []]
    assert not any("hdone" in pod for pod in relay.kubectl.names("pods"))


def test_a_suspended_definition_starts_nothing(relay: Relay) -> None:
    relay.define("Chain", "paused", id="paused", suspend=True)
    relay.run("paused", "paused", input={"length": 1})
    relay.until("paused", "it waits", phase="Pending", reason="DefinitionSuspended")
    assert relay.pods("paused") == []

    assert relay.kubectl.patch(TASK_DEFINITIONS, "paused", {"spec": {"suspend": False}})

    assert relay.finished("paused")["phase"] == "Succeeded"


@pytest.mark.parametrize("annotation", [names.ANNOTATION_ENDED, names.ANNOTATION_BEGAN])
def test_a_restored_run_does_not_run_again(relay: Relay, annotation: str) -> None:
    value = "Succeeded" if annotation == names.ANNOTATION_ENDED else "2026-01-01T00:00:00Z"
    name = f"restored-{annotation.rsplit('/', 1)[1]}"
    relay.define("Chain", "backed-up", id="backedUp")
    spec = {"input": {"length": 1, "trace": str(relay.trace(name))}}
    applied = relay.kubectl.create(task_run(name, "backed-up", metadata={"annotations": {annotation: value}}, **spec))
    assert applied, str(applied)

    status = relay.until(name, "it shows that", reason="Restored")

    assert status["phase"] == ("Succeeded" if annotation == names.ANNOTATION_ENDED else "Pending")
    assert relay.pods(name) == []
    assert relay.calls(name) == []
    if status["phase"] == "Pending":
        assert relay.kubectl.patch(TASK_RUNS, name, {"metadata": {"annotations": {annotation: None}}})
        assert relay.finished(name)["phase"] == "Succeeded"
    else:
        assert json.dumps(status)
