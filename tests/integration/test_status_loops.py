"""No rejection by admission makes the operator write the status of a definition or a run repeatedly."""

import json
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import pytest

from dev.cluster import Cluster
from dev.harness.kubectl import Kubectl, Manifest
from dev.harness.manifests import TASK_DEFINITIONS
from dev.harness.operator import OperatorProcess
from dev.harness.waiting import eventually
from tests.support.audit import writes_of_definitions, writes_of_the_operator
from tests.support.relay import Relay
from tests.support.webhook import Webhook, pod_webhook

pytestmark = pytest.mark.integration

KINDS = ("pod-security", "policy", "quota", "webhook")


def refuses_in_new_words(_webhook: Webhook, number: int) -> str:
    return f"refused for the {number}th time, at {time.time()}"


def policy(namespace: str) -> list[Manifest]:
    """Return a policy whose messages contain the name, the UID and the creation time of the rejected object."""
    fields = ("name", "uid", "creationTimestamp")
    words = " + ' ' + ".join(f"string(object.metadata.{field})" for field in fields)
    group = "admissionregistration.k8s.io/v1"
    return [
        {
            "apiVersion": group,
            "kind": "ValidatingAdmissionPolicy",
            "metadata": {"name": namespace},
            "spec": {
                "matchConstraints": {
                    "resourceRules": [
                        {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
                    ]
                },
                "matchConditions": [
                    {"name": "ours", "expression": "object.metadata.labels['podrelay.dev/definition'] == 'policy'"}
                ],
                "validations": [{"expression": "false", "messageExpression": words}],
            },
        },
        {
            "apiVersion": group,
            "kind": "ValidatingAdmissionPolicyBinding",
            "metadata": {"name": namespace},
            "spec": {
                "policyName": namespace,
                "validationActions": ["Deny"],
                "matchResources": {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}}},
            },
        },
    ]


def pod_of(definition: str, security: Manifest) -> Manifest:
    """Return a pod of a definition that Pod Security would admit."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "probe", "labels": {"podrelay.dev/definition": definition}},
        "spec": {"containers": [{"name": "task", "image": "local", "securityContext": security}]},
    }


def refusal(kubectl: Kubectl, pod: Manifest) -> str:
    """Return the error of a dry run that creates `pod`."""
    return str(kubectl.create(pod, flags=("--dry-run=server",)))


def test_rejections_of_every_kind_are_written_only_a_few_times(
    idle_relay: Relay, cluster: Cluster, tmp_path: Path
) -> None:
    relay, namespace = idle_relay, idle_relay.kubectl.namespace
    restricted = {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}}
    allowed = {
        "runAsNonRoot": True,
        "runAsUser": 1000,
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    for kind in KINDS:
        container: Manifest = {"name": "task", "image": "local", "command": ["true"]}
        if kind != "pod-security":
            container["securityContext"] = allowed
        relay.define_script(kind, "true", template={"spec": {"containers": [container]}})
    relay.kubectl.do("patch", "namespace", namespace, "--patch", json.dumps(restricted))
    relay.kubectl.do("create", "quota", "none", "--hard=count/pods=0")
    relay.kubectl.do("create", "-f", "-", stdin=policy(namespace))
    try:
        with pod_webhook(relay.kubectl, tmp_path, "webhook", refuses_in_new_words) as webhook, ExitStack() as stack:
            # The API server enforces a policy or webhook some time after its creation, and admits pods until then.
            kubectl, of_policy, of_webhook = relay.kubectl, pod_of("policy", allowed), pod_of("webhook", allowed)
            eventually("the policy rejects", lambda: "AdmissionPolicy" in refusal(kubectl, of_policy), 60)
            eventually("the webhook rejects", lambda: "admission webhook" in refusal(kubectl, of_webhook), 60)
            stack.enter_context(OperatorProcess(relay.kubectl, tmp_path / "operator"))
            for kind in KINDS:
                relay.run(kind, kind)

            # Reviews of the definition and pods of the run, with growing pauses.
            began = time.monotonic()
            eventually("the webhook was called repeatedly", lambda: webhook.calls >= 8, 60)
            assert time.monotonic() - began > 3, "the calls have pauses"

            assert cluster.audit_log is not None
            of_definitions = Counter(writes_of_definitions(cluster.audit_log, namespace))
            assert set(of_definitions) == {f"patch taskdefinitions/status {kind}" for kind in KINDS}
            assert max(of_definitions.values()) <= webhook.calls, of_definitions
            of_runs = Counter(
                write for write in writes_of_the_operator(cluster.audit_log, namespace) if "status" in write
            )
            assert max(of_runs.values()) <= webhook.calls, of_runs
            reasons = {
                kind: relay.kubectl.get(TASK_DEFINITIONS, kind)["status"]["conditions"][0]["reason"] for kind in KINDS
            }
            assert reasons == {**dict.fromkeys(KINDS, "PodRejected"), "quota": "PodAccepted"}
            assert relay.status("quota")["reason"] == "QuotaExceeded"
            assert {relay.status(kind)["reason"] for kind in KINDS if kind != "quota"} <= {"PodForbidden", "PodInvalid"}
    finally:
        relay.kubectl.do("delete", "validatingadmissionpolicybinding,validatingadmissionpolicy", namespace)
