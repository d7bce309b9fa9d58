"""Backups: finished runs stay finished, with their output, unfinished ones wait, and no hook is called twice."""

import json
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from dev.harness import forked
from dev.harness.kubectl import Kubectl, Manifest
from dev.harness.manifests import TASK_DEFINITIONS, TASK_ITERATIONS, TASK_RUNS, task_run
from dev.harness.operator import PODRELAY, OperatorProcess
from dev.harness.waiting import eventually
from podrelay.api import names
from podrelay.client.backup import KINDS as KINDS_OF_EXPORT
from podrelay.schedules.timetable import in_text
from tests.support import scenario_tasks
from tests.support.namespaces import temporary_namespace
from tests.support.pods import add_runner
from tests.support.quick import QuickKubectl
from tests.support.relay import Relay
from tests.support.schedules import TASK_SCHEDULES, task_schedule
from tests.support.signals import TASK_SIGNALS, task_signal

pytestmark = pytest.mark.integration

KINDS = f"{TASK_DEFINITIONS},{TASK_RUNS},{TASK_ITERATIONS}"
WAITER = Path(scenario_tasks.__file__)


@pytest.fixture(scope="module")
def other(admin: Kubectl, relay: Relay, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Relay]:
    """Another namespace with its own operator: all objects that are restored there get new UIDs."""
    folder = tmp_path_factory.mktemp("other")
    with temporary_namespace(admin) as inside:
        add_runner(inside)
        with OperatorProcess(inside, folder / "operator") as operator:
            yield Relay(QuickKubectl.instead_of(inside), relay.folder)
            assert not operator.has_ended, operator.text
            assert "Traceback" not in operator.text, operator.text


@dataclass(frozen=True)
class Backup:
    """A file that `podrelay export` has written."""

    path: Path

    def items(self, kind: str) -> dict[str, Manifest]:
        found = map(json.loads, self.path.read_text(encoding="utf-8").splitlines())
        return {item["metadata"]["name"]: item for item in found if item["kind"] == kind}

    def only(self, *runs: str) -> "Backup":
        """Return the same backup with only these runs: the tests of this file share the namespace."""
        always = {"Export", "TaskDefinition", "ExportEnd"}
        items: list[Manifest] = [json.loads(line) for line in self.path.read_text(encoding="utf-8").splitlines()]
        kept = [item for item in items if item["kind"] in always or self._about(item) in runs]
        kept[-1] |= {
            plural: sum(item["kind"] == kind for item in kept)
            for kind, plural in KINDS_OF_EXPORT.items()
            if kind != "TaskDefinition"
        }
        path = self.path.with_name("-".join(runs) + ".jsonl")
        path.write_text("".join(json.dumps(item) + "\n" for item in kept), encoding="utf-8")
        return Backup(path)

    @staticmethod
    def _about(item: Manifest) -> str:
        """The run that an object belongs to; the name of a schedule."""
        match item["kind"]:
            case "TaskIteration":
                name: str = item["runName"]
            case "TaskSignal":
                name = item["spec"]["taskRun"]
            case _:
                name = item["metadata"]["name"]
        return name


def podrelay(relay: Relay, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    command, *rest = arguments
    place = [f"--kubeconfig={relay.kubectl.kubeconfig}", f"--namespace={relay.kubectl.namespace}"]
    ended = forked.command([command, *rest, *place], relay.kubectl.env, stdin)
    assert "Traceback" not in ended.stderr, ended.stderr
    return ended


def do(relay: Relay, *arguments: str, stdin: str = "") -> str:
    ended = podrelay(relay, *arguments, stdin=stdin)
    assert ended.returncode == 0, ended
    return ended.stdout


def export(relay: Relay, folder: Path) -> Backup:
    path = folder / "backup.jsonl"
    do(relay, "export", "--file", str(path))
    return Backup(path)


def kept(run: Manifest) -> Manifest:
    """Return the part of a run's status that a restore must keep."""
    status = dict(run["status"])
    conditions = {item["type"]: (item["status"], item["reason"]) for item in status.pop("conditions")}
    status.pop("observedGeneration")
    return {**status, "conditions": conditions}


# --- finished runs ---------------------------------------------------------------------------------------------------


def has_called_hooks(relay: Relay, name: str) -> Callable[[], bool]:
    return lambda: bool(relay.status(name).get("hooks"))


@pytest.fixture(scope="module")
def ended(relay: Relay) -> dict[str, str]:
    """Runs that have finished in different ways: their phases by name."""
    relay.define("Hooked", hooks=["onDone", "onError", "onAbort"], podCleanup="Always")
    relay.define("Chain")
    relay.define("Answer")
    relay.run("well", "hooked", input={"how": "done"})
    relay.run("badly", "hooked", input={"how": "raise"})
    relay.run("chained", "chain", input={"length": 3})
    relay.run("large", "answer", input={"how": "large"})
    phases = {name: relay.finished(name)["phase"] for name in ("well", "badly", "chained", "large")}
    for name in ("well", "badly"):
        eventually("its hook was called", has_called_hooks(relay, name))
    return phases


def test_finished_runs_stay_finished_with_their_outputs_and_records(
    relay: Relay, other: Relay, ended: dict[str, str], tmp_path: Path
) -> None:
    calls = {name: (relay.calls(name), relay.hook_calls(name)) for name in ended}
    backup = export(relay, tmp_path).only(*ended)

    printed = do(other, "import", str(backup.path))

    for name, phase in ended.items():
        assert f"taskrun.podrelay.dev/{name} imported, {phase}" in printed
        restored = other.get(name)
        assert kept(restored) == kept(backup.items("TaskRun")[name])
        assert restored["spec"] == backup.items("TaskRun")[name]["spec"]
        assert [record["response"] for record in other.records(name)] == [
            record["response"] for record in relay.records(name)
        ]
        assert {record["metadata"]["ownerReferences"][0]["uid"] for record in other.records(name)} == {
            restored["metadata"]["uid"]
        }
    eventually("the operator has seen them", lambda: all(settled(other.get(name)) for name in ended))
    assert json.loads(do(other, "get", "large", "-o", "json"))["status"]["outputFrom"] == "large-i1"
    assert {name: (other.calls(name), other.hook_calls(name)) for name in ended} == calls
    assert other.kubectl.names("pods") == []


def settled(run: Manifest) -> bool:
    return bool(run["status"]["observedGeneration"] == run["metadata"]["generation"])


def test_a_second_import_changes_nothing_and_says_so(
    relay: Relay, other: Relay, ended: dict[str, str], tmp_path: Path
) -> None:
    backup = export(relay, tmp_path).only(*ended)
    do(other, "import", str(backup.path))
    before = {name: other.get(name) for name in ended}

    again = podrelay(other, "import", "-", stdin=backup.path.read_text(encoding="utf-8"))

    assert again.returncode == 0
    assert again.stderr.startswith("0 objects imported, ")
    assert {name: other.get(name) for name in ended} == before


def test_existing_objects_are_not_changed(relay: Relay, ended: dict[str, str], tmp_path: Path) -> None:
    backup = export(relay, tmp_path).only(*ended)
    before = {name: relay.get(name) for name in ended}

    again = podrelay(relay, "import", str(backup.path))

    assert (again.returncode, again.stderr.startswith("0 objects imported, ")) == (0, True)
    assert {name: relay.get(name) for name in ended} == before


def test_conflicts_are_reported_and_not_changed(
    relay: Relay, other: Relay, ended: dict[str, str], tmp_path: Path
) -> None:
    backup = export(relay, tmp_path).only("chained", "well")
    text = backup.path.read_text(encoding="utf-8").replace('"well', '"taken').replace('"Count words"', '"Otherwise"')
    other.define("Chain")
    other.run("taken", "chain", input={"length": 1})
    mine = other.finished("taken")

    done = podrelay(other, "import", "-", stdin=text)

    assert done.returncode == 1
    assert "TaskRun taken already exists and is another run" in done.stderr
    assert "TaskDefinition chain already exists and is different" in done.stderr
    assert other.status("taken") == mine


def test_the_output_of_kubectl_can_be_imported(
    relay: Relay, other: Relay, ended: dict[str, str], tmp_path: Path
) -> None:
    relay.run("by-kubectl", "chain", input={"length": 2})
    relay.finished("by-kubectl")
    text = relay.kubectl.do("get", KINDS, "-o", "yaml")

    done = podrelay(other, "import", "-", stdin=text)

    assert "taskrun.podrelay.dev/by-kubectl imported, Succeeded" in done.stdout
    assert kept(other.get("by-kubectl")) == kept(relay.get("by-kubectl"))
    assert len(other.calls("by-kubectl")) == 2


def test_nothing_of_a_truncated_export_is_imported(relay: Relay, other: Relay, tmp_path: Path) -> None:
    relay.define("Chain")
    relay.run("cut", "chain", input={"length": 1})
    relay.finished("cut")
    *lines, _end = export(relay, tmp_path).path.read_text(encoding="utf-8").splitlines(keepends=True)

    done = podrelay(other, "import", "-", stdin="".join(lines))

    assert done.returncode == 1
    assert "cut off" in done.stderr
    assert "cut" not in other.kubectl.names(TASK_RUNS)


# --- unfinished runs -------------------------------------------------------------------------------------------------


def test_an_unfinished_run_is_suspended_and_continues_from_its_last_answer_when_resumed(
    relay: Relay, other: Relay, tmp_path: Path
) -> None:
    relay.define("Held")
    relay.run("half", "held")
    eventually("its second iteration works", lambda: len(relay.calls("half")) == 2, 60)
    eventually("its first answer is stored", lambda: relay.status("half").get("lastRecord") == "half-i1")
    backup = export(relay, tmp_path).only("half")
    relay.abort("half")
    relay.finished("half")

    done = podrelay(other, "import", str(backup.path))
    shown = other.until("half", "it says so", reason="Imported")
    assert "half-i2" not in other.pods("half")
    assert other.get("half")["spec"]["suspend"] is True
    assert (shown["phase"], shown["lastRecord"], "current" in shown) == ("Running", "half-i1", False)
    assert "podrelay resume half" in shown["message"]
    assert "1 runs had not finished" in done.stderr
    assert "unchanged" in do(other, "import", str(backup.path))

    do(other, "resume", "half")
    status = other.finished("half", 60)

    assert (status["phase"], status["output"]) == ("Succeeded", {"row": 2})
    assert other.calls("half") == [(1, 1), (2, 1), (2, 2), (3, 1)]


def test_a_run_that_had_not_started_starts_when_resumed(relay: Relay, other: Relay, tmp_path: Path) -> None:
    relay.define("Chain")
    relay.run("fresh", "chain", input={"length": 1}, suspend=True)
    relay.until("fresh", "it waits", reason="Suspended")

    do(other, "import", str(export(relay, tmp_path).only("fresh").path))
    other.until("fresh", "it says so", reason="Imported", phase="Pending")
    assert other.calls("fresh") == []

    do(other, "resume", "fresh")
    assert other.finished("fresh")["phase"] == "Succeeded"


def test_with_resume_they_continue_at_once(relay: Relay, other: Relay, tmp_path: Path) -> None:
    relay.define("Chain")
    relay.run("at-once", "chain", input={"length": 2, "seconds": 15})
    relay.until("at-once", "it waits", reason="Waiting")
    backup = export(relay, tmp_path).only("at-once")
    relay.abort("at-once")

    assert "continues" in do(other, "import", str(backup.path), "--resume")

    assert other.finished("at-once", 120)["phase"] == "Succeeded"
    assert other.calls("at-once") == [(1, 1), (2, 1)]


def test_a_parent_finds_the_children_that_it_had_started(relay: Relay, other: Relay, tmp_path: Path) -> None:
    relay.define("Chain")
    relay.define("Parent", triggers=["chain"], retry={"limit": 2, "initialSeconds": 15})
    start = [{"definition": "chain", "input": {"length": 1, "trace": str(relay.trace("children"))}, "times": 2}]
    relay.run("family", "parent", input={"start": start, "dies": True})
    relay.until("family", "its first attempt has died", attempts=1)
    assert relay.kubectl.patch(TASK_RUNS, "family", {"spec": {"suspend": True}})

    def children() -> list[str]:
        selector = "--field-selector=spec.parent=family"
        return sorted(relay.kubectl.names(TASK_RUNS, selector))

    eventually("its children have ended", lambda: len([relay.finished(name) for name in children()]) == 2)
    exported = children()
    backup = export(relay, tmp_path).only("family", *exported)

    do(other, "import", str(backup.path))
    do(other, "resume", "family")
    status = other.finished("family", 120)

    assert status["phase"] == "Succeeded"
    assert sorted(child["id"] for child in status["output"]["children"]) == exported
    assert sorted(other.kubectl.names(TASK_RUNS, "--field-selector=spec.parent=family")) == exported
    assert len(relay.calls("children")) == 2
    uids = {other.get(name)["metadata"]["ownerReferences"][0]["uid"] for name in exported}
    assert uids == {other.get("family")["metadata"]["uid"]}


def test_an_interrupted_import_starts_nothing(relay: Relay, other: Relay, tmp_path: Path) -> None:
    relay.define("Chain")
    other.define("Chain")
    for name, spec in (("torn", {"suspend": True}), ("torn-done", {})):
        relay.run(name, "chain", input={"length": 1}, **spec)
    relay.finished("torn-done")
    relay.until("torn", "it waits", reason="Suspended")
    backup = export(relay, tmp_path).only("torn", "torn-done")
    for name, item in backup.items("TaskRun").items():
        origin = {names.ANNOTATION_ORIGIN: f"{name}/{item['metadata']['uid']}", names.ANNOTATION_IMPORTED: "incomplete"}
        spec = item["spec"] | {"suspend": False}
        applied = other.kubectl.create(task_run(metadata={"name": name, "annotations": origin}, **spec))
        assert applied, str(applied)
    for name in ("torn", "torn-done"):
        assert "import the same file again" in other.until(name, "it says so", reason="Importing")["message"]
    assert other.pods("torn") == other.pods("torn-done") == []

    do(other, "import", str(backup.path))

    assert other.until("torn-done", "it has ended", phase="Succeeded")["output"]["done"] == 1
    assert other.pods("torn-done") == []
    assert other.finished("torn")["phase"] == "Succeeded", "this one is not suspended"


# --- signals and approvals -------------------------------------------------------------------------------------------


def send(relay: Relay, name: str, run: str, signal: str, **more: Any) -> None:
    sent = relay.kubectl.create(task_signal(name, run, signal, **more))
    assert sent, str(sent)


def signal_phase(relay: Relay, name: str) -> str | None:
    phase: str | None = relay.kubectl.get(TASK_SIGNALS, name).get("status", {}).get("phase")
    return phase


def test_an_imported_run_goes_on_waiting_with_the_signals_that_came_and_consumes_none_twice(
    relay: Relay, other: Relay, tmp_path: Path
) -> None:
    relay.define("Waiter", module=WAITER)
    waits = [{"signal": "note", "seconds": 3600}, {"signal": "payment", "seconds": 3600, "count": 3}]
    relay.run("pays", "waiter", input={"waits": waits})
    relay.until("pays", "it waits for a note", reason="WaitingForSignal")
    send(relay, "pays-note", "pays", "note")
    eventually("the note is consumed", lambda: signal_phase(relay, "pays-note") == "Consumed")
    for number in (2, 1):  # the order in which they were sent is not that of their names
        relay.until("pays", "it waits for payments", reason="WaitingForSignal", lastRecord="pays-i2")
        send(relay, f"pays-{number}", "pays", "payment", payload={"amount": number})
        before = relay.kubectl.get(TASK_SIGNALS, f"pays-{number}")["metadata"]["creationTimestamp"]
        eventually("a second has passed", partial(is_past, before))
    backup = export(relay, tmp_path).only("pays")
    relay.abort("pays")
    relay.finished("pays")

    do(other, "import", str(backup.path))

    waits_for_a_user = "once no other cluster runs it"
    assert "podrelay resume pays" in other.until("pays", waits_for_a_user, reason="Imported")["message"]
    assert (signal_phase(other, "pays-note"), signal_phase(other, "pays-1")) == ("Consumed", "Pending")
    send_again = other.kubectl.create(task_signal("pays-1", "pays", "payment", payload={"amount": 1}))
    assert "already exists" in str(send_again), "sending it again has no effect"
    assert "unchanged" in do(other, "import", str(backup.path))
    do(other, "resume", "pays")
    shown = other.until("pays", "it waits on", reason="WaitingForSignal")
    assert shown["waitingFor"]["count"] == 3
    send(other, "pays-0", "pays", "payment", payload={"amount": 7})

    output = other.finished("pays", 60)["output"]

    assert output["2"]["got"] == ["note"]
    assert output["3"]["got"] == ["payment 2", "payment 1", "payment 7"]
    assert {name: signal_phase(other, f"pays-{name}") for name in ("note", "0", "1", "2")} == dict.fromkeys(
        ("note", "0", "1", "2"), "Consumed"
    )


def is_past(time: str) -> bool:
    return in_text(datetime.now(UTC)) > time


def test_an_approval_keeps_its_user_and_shows_who_has_restored_it(relay: Relay, other: Relay, tmp_path: Path) -> None:
    spec = {"signals": [{"name": "release", "approval": {"required": 2}}]}
    relay.define("Waiter", name="approved", module=WAITER, id="approved", **spec)
    relay.run("deploys", "approved", input={"waits": [{"signal": "release", "seconds": 3600}]})
    relay.until("deploys", "it waits for an approval", reason="WaitingForSignal")
    relay.kubectl.do("create", "serviceaccount", "anna")
    relay.kubectl.do("create", "rolebinding", "anna", "--clusterrole=podrelay-user", as_account(relay, "anna"))
    anna = QuickKubectl.instead_of(relay.kubectl.as_service_account("anna"))
    sender = f"system:serviceaccount:{relay.kubectl.namespace}:anna"
    approval = task_signal("deploys-anna", "deploys", "release", sender=sender, decision="Approve")
    eventually("anna may send signals", lambda: bool(anna.create(approval)))
    relay.until("deploys", "it shows her approval", reason="WaitingForSignal")
    eventually("it shows her approval", lambda: relay.status("deploys").get("approvals"))
    backup = export(relay, tmp_path).only("deploys")
    relay.abort("deploys")

    do(other, "import", str(backup.path))
    do(other, "resume", "deploys")
    other.until("deploys", "it waits for the second approval", reason="WaitingForSignal")
    me = json.loads(other.kubectl.do("auth", "whoami", "-o", "json"))["status"]["userInfo"]["username"]
    send(other, "deploys-me", "deploys", "release", sender=me, decision="Approve")

    status = other.finished("deploys", 60)

    assert status["output"]["2"]["approved"] is True
    assert [(item["by"], item.get("restoredBy")) for item in status["approvals"]] == [(sender, me), (me, None)]


def as_account(relay: Relay, name: str) -> str:
    return f"--serviceaccount={relay.kubectl.namespace}:{name}"


def test_a_different_signal_of_the_same_name_is_not_overwritten(relay: Relay, other: Relay, tmp_path: Path) -> None:
    relay.define("Waiter", module=WAITER)
    relay.run("taken-signal", "waiter", input={"waits": [{"signal": "payment", "seconds": 3600}]}, suspend=True)
    relay.until("taken-signal", "it waits", reason="Suspended")
    send(relay, "taken-1", "taken-signal", "payment", payload={"amount": 1})
    backup = export(relay, tmp_path).only("taken-signal")
    send(other, "taken-1", "taken-signal", "payment", payload={"amount": 2})

    done = podrelay(other, "import", str(backup.path))

    assert done.returncode == 1
    assert "TaskSignal taken-1 already exists and is another signal" in done.stderr
    assert "TaskRun taken-signal was left incomplete" in done.stderr
    other.kubectl.do("delete", TASK_SIGNALS, "taken-1")
    assert "taskrun.podrelay.dev/taken-signal imported" in do(other, "import", str(backup.path))
    assert other.kubectl.get(TASK_SIGNALS, "taken-1")["spec"]["payload"] == {"amount": 1}


# --- schedules -------------------------------------------------------------------------------------------------------


def schedule_status(relay: Relay, name: str) -> Manifest:
    status: Manifest = relay.kubectl.get(TASK_SCHEDULES, name).get("status", {})
    return status


def runs_of(relay: Relay, schedule: str) -> list[str]:
    return sorted(relay.kubectl.names(TASK_RUNS, "--selector", f"podrelay.dev/schedule={schedule}"))


def started(relay: Relay, name: str, **spec: Any) -> None:
    """Create a schedule, wait until it has started a run, and suspend it."""
    relay.define_script("tick", 'echo \'{"status":"done"}\' >/dev/termination-log')
    applied = relay.kubectl.create(task_schedule(name, "tick", schedules=[{"every": "10s"}], **spec))
    assert applied, str(applied)
    eventually("it has started a run", lambda: schedule_status(relay, name).get("started"), 60)


def test_an_imported_schedule_is_suspended_and_starts_no_time_again(relay: Relay, other: Relay, tmp_path: Path) -> None:
    started(relay, "ticks", missed={"policy": "All"}, overlap="Allow")
    backup = export(relay, tmp_path).only("ticks")  # without its runs, as if their TTL had removed them
    do(relay, "schedule", "pause", "ticks")
    exported = backup.items("TaskSchedule")["ticks"]

    done = podrelay(other, "import", str(backup.path))

    assert done.returncode == 0, done
    assert "taskschedule.podrelay.dev/ticks imported, suspended" in done.stdout
    assert "podrelay schedule resume" in done.stderr
    restored = other.kubectl.get(TASK_SCHEDULES, "ticks")
    assert restored["spec"]["suspend"] is True
    assert "imported as it was at" in restored["spec"]["suspendNote"]
    assert restored["status"]["processedUntil"] == exported["status"]["processedUntil"]
    assert restored["status"]["started"] == exported["status"]["started"]
    assert "unchanged" in do(other, "import", str(backup.path))
    passed = datetime.fromisoformat(exported["status"]["processedUntil"]) + timedelta(seconds=11)
    eventually("its next time has come", lambda: datetime.now(UTC) > passed, 30)
    assert runs_of(other, "ticks") == []

    resumed_at = datetime.now(UTC)
    do(other, "schedule", "resume", "ticks")
    eventually("it starts a run", lambda: runs_of(other, "ticks"), 60)
    do(other, "schedule", "pause", "ticks")

    first = other.get(runs_of(other, "ticks")[0])["spec"]["scheduled"]["time"]
    assert datetime.fromisoformat(first) > resumed_at - timedelta(seconds=10)
    assert schedule_status(other, "ticks")["skipped"]["suspended"] >= 1


def test_a_schedule_imported_with_resume_makes_up_for_the_times_since_the_export(
    relay: Relay, other: Relay, tmp_path: Path
) -> None:
    started(relay, "tocks", missed={"policy": "All"}, overlap="Allow")
    backup = export(relay, tmp_path).only("tocks")
    relay.kubectl.do("delete", TASK_SCHEDULES, "tocks")
    decided = backup.items("TaskSchedule")["tocks"]["status"]["processedUntil"]

    assert "tocks imported\n" in do(other, "import", str(backup.path), "--resume")
    eventually("it starts a run", lambda: runs_of(other, "tocks"), 60)
    do(other, "schedule", "pause", "tocks")

    first = other.get(runs_of(other, "tocks")[0])["spec"]["scheduled"]["time"]
    following = datetime.fromisoformat(decided) + timedelta(seconds=10)
    assert decided < first <= in_text(following), "the first time that was not decided yet, and none before it"


# --- rights ----------------------------------------------------------------------------------------------------------


def test_an_import_reports_missing_rights_and_its_role_suffices(
    admin: Kubectl, relay: Relay, kubectl: Kubectl, ended: dict[str, str], tmp_path: Path
) -> None:
    backup = export(relay, tmp_path).only(*ended)
    kubectl.do("create", "serviceaccount", "restorer")
    user = f"--serviceaccount={kubectl.namespace}:restorer"
    kubectl.do("create", "rolebinding", "user", "--clusterrole=podrelay-user", user)
    kubeconfig = as_restorer(kubectl, tmp_path)
    place = [f"--kubeconfig={kubeconfig}", f"--namespace={kubectl.namespace}"]
    arguments = [str(PODRELAY), "import", *place, str(backup.path)]

    refused = subprocess.run(arguments, env=kubectl.env, capture_output=True, text=True, check=False)

    assert refused.returncode == 1
    for right in ("patch taskruns/status", "manage taskruns", "manage taskiterations", "create pods"):
        assert right in refused.stderr
    assert "podrelay-restore" in refused.stderr
    assert kubectl.names(TASK_RUNS) == []

    kubectl.do("create", "rolebinding", "restore", "--clusterrole=podrelay-restore", user)
    kubectl.do("create", "role", "pods", "--verb=create", "--resource=pods")
    kubectl.do("create", "rolebinding", "pods", "--role=pods", user)

    def is_imported() -> bool:  # the authorizer sees a new binding a moment later
        done = subprocess.run(arguments, env=kubectl.env, capture_output=True, text=True, check=False)
        assert "needs more rights" in done.stderr or done.returncode == 0, done
        return done.returncode == 0

    eventually("it is imported", is_imported)
    assert {name: kubectl.get(TASK_RUNS, name)["status"]["phase"] for name in ended} == ended


def as_restorer(kubectl: Kubectl, folder: Path) -> Path:
    import yaml

    settings = yaml.safe_load(kubectl.kubeconfig.read_text(encoding="utf-8"))
    token = kubectl.do("create", "token", "restorer").strip()
    settings["users"] = [{"name": "restorer", "user": {"token": token}}]
    settings["contexts"][0]["context"]["user"] = "restorer"
    path = folder / "restorer.kubeconfig"
    path.write_text(yaml.safe_dump(settings), encoding="utf-8")
    return path


# --- kubectl and Velero ----------------------------------------------------------------------------------------------


def test_kubectl_apply_of_its_own_output_runs_nothing_again(relay: Relay, other: Relay) -> None:
    relay.define("Hooked", "once", id="once", hooks=["onDone"])
    relay.run("applied", "once", input={"how": "done"})
    relay.finished("applied")
    eventually("its hook was called", lambda: relay.status("applied").get("hooks"))
    relay.define("Chain")
    relay.run("applied-half", "chain", input={"length": 2, "seconds": 600})
    relay.until("applied-half", "it waits", reason="Waiting")
    assert names.ANNOTATION_ENDED not in relay.get("applied")["metadata"].get("annotations", {})
    source = relay.kubectl.namespace
    text = relay.kubectl.do("get", f"{TASK_DEFINITIONS},{TASK_RUNS}", "-o", "json").replace(
        f'"namespace": "{source}"', f'"namespace": "{other.kubectl.namespace}"'
    )
    items = [
        item for item in json.loads(text)["items"] if item["metadata"]["name"] in {"once", "applied", "applied-half"}
    ]

    for _ in range(2):
        other.kubectl("apply", "-f", "-", stdin=items)
        assert other.until("applied", "it has ended", phase="Succeeded")["reason"] == "Restored"
        assert other.until("applied-half", "it waits", phase="Pending")["reason"] == "Restored"

    assert other.pods("applied") == other.pods("applied-half") == []
    assert (relay.calls("applied"), relay.hook_calls("applied")) == ([(1, 1)], ["onDone"])
    relay.abort("applied-half")
    relay.finished("applied-half")
    do(other, "resume", "applied-half")
    eventually("it starts again", lambda: other.calls("applied-half") == [(1, 1), (1, 1)], 60)
    other.abort("applied-half")


def restored_by_velero(relay: Relay, other: Relay, name: str, *, with_status: bool) -> None:
    """Create a run and its records as Velero does: no owner, its label, the status in a second request."""
    marks = {"velero.io/backup-name": "daily", names.LABEL_VELERO_RESTORE: "friday"}

    def stripped(item: Manifest) -> Manifest:
        about = item["metadata"]
        metadata: dict[str, Any] = {"name": about["name"], "labels": about.get("labels", {}) | marks}
        metadata["annotations"] = about.get("annotations", {})
        return {key: value for key, value in item.items() if key != "status"} | {"metadata": metadata}

    run = relay.get(name)
    applied = other.kubectl.create(stripped(run))
    assert applied, str(applied)
    if with_status:
        assert other.kubectl.set_status(TASK_RUNS, name, run["status"])
    for record in relay.records(name):
        applied = other.kubectl.create(stripped(record))
        assert applied, str(applied)


def test_a_run_that_velero_restores_waits_and_continues_when_resumed(relay: Relay, other: Relay) -> None:
    relay.define("Chain")
    other.define("Chain")
    relay.run("velero", "chain", input={"length": 2, "seconds": 15})
    relay.until("velero", "it waits", reason="Waiting")
    assert relay.kubectl.patch(TASK_RUNS, "velero", {"spec": {"suspend": True}})
    restored_by_velero(relay, other, "velero", with_status=True)

    other.until("velero", "it says so", reason="Restored", phase="Running")
    eventually("its record has an owner", lambda: other.record("velero-i1")["metadata"].get("ownerReferences"))
    assert other.record("velero-i1")["metadata"]["ownerReferences"][0]["uid"] == other.get("velero")["metadata"]["uid"]
    assert other.calls("velero") == [(1, 1)]

    do(other, "resume", "velero")
    assert other.finished("velero", 120)["phase"] == "Succeeded"
    assert other.calls("velero") == [(1, 1), (2, 1)]


def test_a_run_that_velero_restores_without_its_status_waits(relay: Relay, other: Relay) -> None:
    relay.define("Chain")
    other.define("Chain")
    relay.run("velero-bare", "chain", input={"length": 1})
    relay.finished("velero-bare")
    restored_by_velero(relay, other, "velero-bare", with_status=False)

    shown = other.until("velero-bare", "it says so", 60, reason="Restored")

    assert (shown["phase"], other.calls("velero-bare")) == ("Pending", [(1, 1)])
    assert "not known" in shown["message"]
