"""When the obstacle to pods is fixed, the runs continue immediately, not after their pause."""

from pathlib import Path

import pytest

from dev.cluster import Cluster
from dev.harness.manifests import TASK_DEFINITIONS
from dev.harness.operator import OperatorProcess
from dev.harness.waiting import eventually
from tests.support.audit import writes_of_the_operator
from tests.support.relay import Relay

pytestmark = pytest.mark.integration

ATTEMPTS = 5
"""After 0, 1, 2, 4 and 8 seconds; the next one would be 8 seconds later."""
AT_ONCE = 6
"""In seconds; shorter than that pause."""


def pod_of(node: str | None = None, account: str | None = None) -> dict[str, object]:
    container = {"name": "task", "image": "local", "command": ["true"]}
    placement = {"nodeSelector": {"disk": node}} if node else {}
    return {"spec": {"containers": [container], **placement, **({"serviceAccountName": account} if account else {})}}


def test_runs_continue_when_account_quota_or_template_is_fixed(
    idle_relay: Relay, cluster: Cluster, tmp_path: Path
) -> None:
    relay, kubectl = idle_relay, idle_relay.kubectl
    relay.define_script("quota", "true")
    relay.define_script("account", "true", template=pod_of(account="importer"))
    relay.define_script("template", "true", template=pod_of(node="none-has-it"))
    assert cluster.audit_log is not None
    with OperatorProcess(kubectl, tmp_path / "operator"):
        relay.run("selective", "template")
        relay.until("selective", "its pod fits no node", reason="Unschedulable")
        kubectl.do("create", "quota", "full", "--hard=count/pods=0")
        # The quota is checked last, so a missing service account is reported first.
        accounts, others = [f"account{number}" for number in range(3)], [f"quota{number}" for number in range(3)]
        for name in accounts:
            relay.run(name, "account")
        for name in others:
            relay.run(name, "quota")
        for name in (*accounts, *others):
            reason = "PodForbidden" if name in accounts else "QuotaExceeded"
            relay.until(name, "its pod is rejected", reason=reason)
        log = cluster.audit_log
        eventually(
            "the pauses have grown",
            lambda: all(
                writes_of_the_operator(log, kubectl.namespace).count(f"create pods {name}-i1") >= ATTEMPTS
                for name in (*accounts, *others)
            ),
        )
        assert kubectl.get(TASK_DEFINITIONS, "account")["status"]["conditions"][0]["reason"] == "PodRejected"

        kubectl.do("patch", "quota", "full", "--patch", '{"spec":{"hard":{"count/pods":"100"}}}')
        eventually("they continue with the new quota", lambda: all(map(relay.pods, others)), AT_ONCE)
        kubectl.do("create", "serviceaccount", "importer")
        eventually("they continue with the service account", lambda: all(map(relay.pods, accounts)), AT_ONCE)
        eventually("its definition is ready", lambda: is_ready(relay, "account"), AT_ONCE)
        kubectl.do("patch", TASK_DEFINITIONS, "template", "--type=json", f"--patch={WITHOUT_SELECTOR}")

        for name in (*accounts, *others, "selective"):
            assert relay.finished(name)["phase"] == "Succeeded"
        tries = relay.status("selective")["recentIterations"]
        assert [(one["podName"], one["answer"]) for one in tries] == [
            ("selective-i1t2", "done"),
            ("selective-i1", "disrupted"),
        ]
        assert (
            tries[1]["message"] == "pod selective-i1 had not started when spec.template of its TaskDefinition changed"
        )


WITHOUT_SELECTOR = '[{"op":"remove","path":"/spec/template/spec/nodeSelector"}]'


def is_ready(relay: Relay, definition: str) -> bool:
    condition = relay.kubectl.get(TASK_DEFINITIONS, definition)["status"]["conditions"][0]
    return (condition["type"], condition["status"]) == ("Ready", "True")
