"""Signals and approvals on a real API server: real tokens, pods that report by message, floods, and idle runs."""

import json
import os
import statistics
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from dev.cluster import Cluster
from dev.harness.kubectl import Kubectl
from dev.harness.manifests import TASK_RUNS, Manifest, task_run
from dev.harness.operator import OperatorProcess, SpawnedOperator
from dev.harness.waiting import eventually
from podrelay.api import names
from tests.support import audit, scenario_tasks
from tests.support.quick import QuickKubectl
from tests.support.relay import Relay
from tests.support.signals import TASK_SIGNALS, task_signal

pytestmark = pytest.mark.integration

WAITER = Path(scenario_tasks.__file__)
MANY = int(os.environ.get("PODRELAY_TEST_SIGNALS", "1000"))
"""How many signals one run gets, in the test that floods it."""
SCRIPT = """
if [ "$PODRELAY_ITERATION" = 1 ]
then echo '{"status":"continue","waitForSignal":{"names":["payment"],"count":2},"waitSeconds":3600}'
else printf '{"status":"done","output":{"woken":"%s","signals":%s}}' "$PODRELAY_WOKEN_BY" "$PODRELAY_SIGNALS"
fi > /dev/termination-log
"""


def define_waiter(relay: Relay, **spec: Any) -> None:
    relay.define("Waiter", module=WAITER, **spec)


def wait_of(relay: Relay, name: str, **wait: Any) -> None:
    """Start a run that waits, and wait until it does."""
    relay.run(name, "waiter", input={"waits": [wait]})
    relay.until(name, "it waits for a signal", reason="WaitingForSignal")


def send(kubectl: Kubectl, name: str, run: str, signal: str, **more: Any) -> None:
    created = kubectl.create(task_signal(name, run, signal, **more))
    assert created, str(created)


def status_of(relay: Relay, name: str) -> Manifest:
    status: Manifest = relay.kubectl.get(TASK_SIGNALS, name).get("status", {})
    return status


def rejected(relay: Relay, name: str) -> Manifest:
    """Wait until a signal is rejected, and return its status."""
    eventually(f"{name} is rejected", lambda: status_of(relay, name).get("phase") == "Rejected")
    return status_of(relay, name)


def test_a_waiting_run_says_what_it_waits_for_and_has_no_pod(relay: Relay) -> None:
    define_waiter(relay)
    wait_of(relay, "says", signal="payment", seconds=3600)

    status = relay.status("says")
    assert status["waitingFor"]["signals"] == ["payment"]
    assert status["waitingFor"]["until"] == status["nextIterationAt"]
    assert "waits for the signal payment until" in status["message"]
    assert "says-i2" not in relay.pods("says")
    relay.abort("says")
    assert "waitingFor" not in relay.finished("says")


def test_a_signal_is_owned_by_its_run_and_consumed_by_one_iteration(relay: Relay) -> None:
    define_waiter(relay)
    wait_of(relay, "owned", signal="note", seconds=3600)
    send(relay.kubectl, "owned-note", "owned", "note")

    assert relay.finished("owned")["output"]["2"]["got"] == ["note"]
    status = status_of(relay, "owned-note")
    assert (status["phase"], status["iteration"], status["record"]) == ("Consumed", 2, "owned-i2")
    assert relay.record("owned-i2")["response"]["signals"] == ["owned-note"]
    relay.kubectl.do("delete", TASK_RUNS, "owned")
    eventually("the signal is deleted with its run", lambda: "owned-note" not in relay.kubectl.names(TASK_SIGNALS))


def test_a_payload_that_breaks_the_schema_is_rejected_and_the_wait_continues(relay: Relay) -> None:
    spec = {"signals": [{"name": "payment", "payloadSchema": {"type": "object", "required": ["amount"]}}]}
    relay.define("Waiter", name="waiter", module=WAITER, **spec)
    wait_of(relay, "strict", signal="payment", seconds=3600)
    send(relay.kubectl, "strict-bad", "strict", "payment", payload={"sum": 1})
    assert rejected(relay, "strict-bad")["reason"] == "InvalidPayload"
    assert "amount" in status_of(relay, "strict-bad")["message"]
    send(relay.kubectl, "strict-unknown", "strict", "refund")
    assert rejected(relay, "strict-unknown")["reason"] == "UnknownSignal"

    assert relay.status("strict")["reason"] == "WaitingForSignal"
    send(relay.kubectl, "strict-good", "strict", "payment", payload={"amount": 1})
    assert relay.finished("strict")["output"]["2"]["got"] == ["payment 1"]
    relay.define("Waiter", name="waiter", module=WAITER)


def test_a_signal_for_a_run_that_has_finished_is_rejected(relay: Relay) -> None:
    define_waiter(relay)
    relay.run("over", "waiter", input={"waits": []})
    relay.finished("over")
    send(relay.kubectl, "over-note", "over", "note")

    assert rejected(relay, "over-note")["reason"] == "RunFinished"


def test_a_signal_may_come_before_its_run(relay: Relay) -> None:
    define_waiter(relay)
    send(relay.kubectl, "early-note", "early", "note")

    relay.run("early", "waiter", input={"waits": [{"signal": "note", "seconds": 3600}]})

    assert relay.finished("early")["output"]["2"]["got"] == ["note"]


def test_a_pod_without_api_access_gets_its_signals_in_the_environment(relay: Relay) -> None:
    relay.define_script("by-message", SCRIPT, maxIterations=5)
    relay.run("reported", "by-message")
    relay.until("reported", "it waits for a signal", reason="WaitingForSignal")
    for number in (1, 2):
        send(
            relay.kubectl,
            f"reported-{number}",
            "reported",
            "payment",
            payload={"amount": number, "text": "$(PATH) $$ ü"},
        )

    output = relay.finished("reported")["output"]

    assert output["woken"] == "Signals"
    assert [signal["payload"]["amount"] for signal in output["signals"]] == [1, 2]
    assert output["signals"][0]["payload"]["text"] == "$(PATH) $$ ü"
    assert relay.record("reported-i2")["response"]["signals"] == ["reported-1", "reported-2"]
    assert status_of(relay, "reported-2")["phase"] == "Consumed"


# --- approvals --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def people(relay: Relay, admin: Kubectl) -> Iterator[dict[str, QuickKubectl]]:
    """Users with real tokens; eve has the same rights, but is of another group."""
    kubectl = relay.kubectl
    other = f"{kubectl.namespace}-others"
    admin.do("create", "namespace", other)
    found = {}
    for name in ("anna", "bob", "carl", "eve"):
        home = other if name == "eve" else kubectl.namespace
        admin.do("-n", home, "create", "serviceaccount", name)
        subject = f"--serviceaccount={home}:{name}"
        kubectl.do("create", "rolebinding", name, "--clusterrole=podrelay-user", subject)
        token = admin.do("-n", home, "create", "token", name).strip()
        found[name] = QuickKubectl(kubectl.kubeconfig, kubectl.env, kubectl.namespace, ("--token", token))
    yield found
    admin.do("delete", "namespace", other, "--wait=false")


def user_name(relay: Relay, person: str) -> str:
    home = f"{relay.kubectl.namespace}-others" if person == "eve" else relay.kubectl.namespace
    return f"system:serviceaccount:{home}:{person}"


def decide(relay: Relay, people: dict[str, QuickKubectl], person: str, run: str, decision: str, name: str = "") -> str:
    """Let a user decide, with all groups that they have; return the name of the signal."""
    sender = user_name(relay, person)
    groups = ["system:serviceaccounts", f"system:serviceaccounts:{sender.split(':')[2]}"]
    name = name or f"{run}-{person}"
    send(people[person], name, run, "release", sender=sender, decision=decision, groups=groups)
    return name


@pytest.fixture
def deployment(relay: Relay) -> None:
    approval = {"required": 2, "groups": [f"system:serviceaccounts:{relay.kubectl.namespace}"], "excludeCreator": True}
    relay.define("Waiter", module=WAITER, signals=[{"name": "release", "approval": approval}])


def deploy(relay: Relay, people: dict[str, QuickKubectl], name: str) -> None:
    """Let anna start a run that waits for an approval."""
    run = task_run(name, "waiter", input={"waits": [{"signal": "release", "seconds": 3600}]})
    run["metadata"]["annotations"] = {names.ANNOTATION_CREATED_BY: user_name(relay, "anna")}
    created = people["anna"].create(run)
    assert created, str(created)
    relay.until(name, "it waits for an approval", reason="WaitingForSignal")


def test_an_approval_needs_two_users_of_the_group_without_the_creator(
    relay: Relay, people: dict[str, QuickKubectl], deployment: None
) -> None:
    deploy(relay, people, "deploy")
    assert rejected(relay, decide(relay, people, "anna", "deploy", "Approve"))["reason"] == "SenderNotAllowed"
    assert rejected(relay, decide(relay, people, "eve", "deploy", "Approve"))["reason"] == "SenderNotAllowed"
    decide(relay, people, "bob", "deploy", "Approve")
    eventually("the status shows who has approved", lambda: relay.status("deploy").get("approvals"))
    again = decide(relay, people, "bob", "deploy", "Approve", "deploy-bob-again")
    assert rejected(relay, again)["reason"] == "AlreadyDecided"
    assert relay.status("deploy")["reason"] == "WaitingForSignal"
    assert "1 of 2 users have approved" in relay.status("deploy")["message"]

    decide(relay, people, "carl", "deploy", "Approve")

    status = relay.finished("deploy")
    assert status["output"]["2"]["approved"] is True
    assert [(item["by"], item["decision"]) for item in status["approvals"]] == [
        (user_name(relay, "bob"), "Approve"),
        (user_name(relay, "carl"), "Approve"),
    ]
    assert all(item["at"] for item in status["approvals"])


def test_one_rejection_ends_the_wait(relay: Relay, people: dict[str, QuickKubectl], deployment: None) -> None:
    deploy(relay, people, "refused")
    decide(relay, people, "bob", "refused", "Approve")
    decide(relay, people, "carl", "refused", "Reject")

    status = relay.finished("refused")

    assert status["output"]["2"]["approved"] is False
    assert status["approvals"][-1]["decision"] == "Reject"


def test_a_signal_without_a_decision_is_no_approval(
    relay: Relay, people: dict[str, QuickKubectl], deployment: None
) -> None:
    deploy(relay, people, "silent")
    send(people["bob"], "silent-bob", "silent", "release")

    assert rejected(relay, "silent-bob")["reason"] == "DecisionMissing"
    relay.abort("silent")


# --- cost -------------------------------------------------------------------------------------------------------------


def test_nothing_is_requested_while_a_run_waits(idle_relay: Relay, cluster: Cluster, tmp_path: Path) -> None:
    relay = idle_relay
    define_waiter(relay)
    with OperatorProcess(relay.kubectl, tmp_path / "operator"):
        wait_of(relay, "quiet", signal="payment", seconds=3600)
        relay.run("clock", "waiter", input={"waits": [{"signal": "note", "seconds": 20}]})
        relay.finished("clock")  # time passes, and the operator works

        assert cluster.audit_log is not None
        requests = [
            f"{entry['verb']} {entry['requestURI']}"
            for entry in audit._entries(cluster.audit_log, relay.kubectl.namespace)
            if entry["objectRef"].get("name", "").startswith("quiet")
            and entry.get("userAgent", "").startswith(("podrelay-operator", "podrelay-runner"))
        ]
    last = max(
        number for number, request in enumerate(requests) if request.startswith("update") and "status" in request
    )
    assert requests[last + 1 :] == [], json.dumps(requests, indent=1)


def test_a_flood_of_signals_to_one_run_does_not_delay_another(idle_relay: Relay, tmp_path: Path) -> None:
    """With `-s` and PODRELAY_TEST_SIGNALS=10000 it prints the figures of docs/performance.md."""
    relay = idle_relay
    define_waiter(relay)
    relay.define("Chain")
    handovers: dict[str, list[float]] = {"before": [], "flood": [], "rejected": []}
    with SpawnedOperator(relay.kubectl, tmp_path / "operator") as operator:
        for number in range(5):
            handovers["before"].append(handover(relay, f"before-{number}"))
        memory = [peak_memory(operator)]
        wait_of(relay, "flooded", signal="payment", seconds=3600)

        def flood(part: int) -> None:
            for number in range(part, MANY, 8):
                send(relay.kubectl, f"flood-{number}", "flooded", "note")

        with ThreadPoolExecutor(8) as threads:
            flooding = [threads.submit(flood, part) for part in range(8)]
            eventually("the flood has begun", lambda: "flood-0" in relay.kubectl.names(TASK_SIGNALS))
            wait_of(relay, "other", signal="payment", seconds=3600)
            send(relay.kubectl, "other-payment", "other", "payment", payload={"amount": 1})
            assert relay.finished("other")["output"]["2"]["got"] == ["payment 1"]
            is_flooding = not all(part.done() for part in flooding)
            while not all(part.done() for part in flooding):
                handovers["flood"].append(handover(relay, f"during-{len(handovers['flood'])}"))
            for part in flooding:
                part.result()
        assert is_flooding, "the other run was not served during the flood"
        memory.append(peak_memory(operator))
        send(relay.kubectl, "flooded-payment", "flooded", "payment", payload={"amount": 2})
        assert relay.finished("flooded", 180)["phase"] == "Succeeded"
        # It has peeked at all signals, so its output may be too large for the status.
        assert relay.record("flooded-i2")["response"]["output"]["2"]["got"] == ["payment 2"]
        # All other signals are rejected now, each with a write.
        while status_of(relay, f"flood-{MANY - 1}").get("phase") != "Rejected" or not handovers["rejected"]:
            handovers["rejected"].append(handover(relay, f"after-{len(handovers['rejected'])}"))
        memory.append(peak_memory(operator))
        assert "Traceback" not in operator.text
    for phase, seconds in handovers.items():
        middle, most = (statistics.median(seconds), max(seconds)) if seconds else (0.0, 0.0)
        print(f"{phase}: {len(seconds)} hand-overs, median {middle:.2f} s, longest {most:.2f} s")
    print(f"peak memory of the operator: {', '.join(f'{mebibytes:.0f} MiB' for mebibytes in memory)}")


def handover(relay: Relay, name: str) -> float:
    """Let a run hand over once; return the seconds from its first answer to the start of its second iteration."""
    relay.run(name, "chain", input={"length": 2})
    assert relay.finished(name)["phase"] == "Succeeded"
    first, second = relay.record(f"{name}-i1"), relay.record(f"{name}-i2")
    return (datetime.fromisoformat(second["startedAt"]) - datetime.fromisoformat(first["finishedAt"])).total_seconds()


def peak_memory(operator: OperatorProcess) -> float:
    """Return the peak memory of the operator so far, in MiB."""
    status = Path(f"/proc/{operator.process.pid}/status").read_text(encoding="utf-8")
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024
