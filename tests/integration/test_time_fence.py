"""What a fence made of time can rest on: when the API server stamps a new pod, and when it checks the stamp.

A policy compares `metadata.creationTimestamp` with a time in an annotation. The API server sets that stamp itself,
after mutating and before validating admission (pkg/registry/rest/create.go, BeforeCreate), so a create that was delayed
on its way is refused. A validating webhook runs after the policy: what it delays is created late, with an early stamp.
"""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import pytest

from dev.harness.kubectl import Kubectl, Manifest
from dev.harness.waiting import eventually
from tests.support.quick import QuickKubectl, collection, connect, token_of
from tests.support.webhook import Webhook, pod_webhook

pytestmark = pytest.mark.integration

GOOD_UNTIL = "podrelay.dev/good-until"
EXPRESSION = f"timestamp(object.metadata.creationTimestamp) <= timestamp(object.metadata.annotations['{GOOD_UNTIL}'])"


@pytest.fixture
def fenced(kubectl: Kubectl, admin: Kubectl) -> Iterator[QuickKubectl]:
    """A namespace whose pods with the annotation must be created in time."""
    name = f"fence-{kubectl.namespace}"
    api = {"apiVersion": "admissionregistration.k8s.io/v1", "metadata": {"name": name}}
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
    policy: Manifest = api | {"kind": "ValidatingAdmissionPolicy"}
    has_annotation = f"has(object.metadata.annotations) && '{GOOD_UNTIL}' in object.metadata.annotations"
    policy["spec"] = {
        "matchConstraints": {"resourceRules": [rule]},
        "matchConditions": [{"name": "fenced", "expression": has_annotation}],
        "validations": [{"expression": EXPRESSION, "message": "too late"}],
    }
    binding: Manifest = api | {"kind": "ValidatingAdmissionPolicyBinding"}
    here = {"matchLabels": {"kubernetes.io/metadata.name": kubectl.namespace}}
    binding["spec"] = {
        "policyName": name,
        "validationActions": ["Deny"],
        "matchResources": {"namespaceSelector": here},
    }
    assert admin.create(policy, binding)
    quick = QuickKubectl.instead_of(kubectl)
    late = pod("probe", datetime(2020, 1, 1, tzinfo=UTC))
    eventually("the policy is in force", lambda: not quick.create(late, flags=("--dry-run=server",)))
    yield quick
    admin("delete", f"validatingadmissionpolicybinding/{name}", f"validatingadmissionpolicy/{name}")


def pod(name: str, good_until: datetime, **metadata: Any) -> Manifest:
    about = {"name": name, "annotations": {GOOD_UNTIL: good_until.isoformat().replace("+00:00", "Z")}, **metadata}
    # The scheduling gate keeps it from any node.
    spec = {"schedulingGates": [{"name": "example.org/never"}], "containers": [{"name": "c", "image": "none"}]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": about, "spec": spec}


def server_time(kubectl: QuickKubectl) -> datetime:
    """Return the API server's clock: the Date header of a response, which has a resolution of one second."""
    connection = connect(kubectl.kubeconfig)
    token = token_of(kubectl.kubeconfig)
    connection.request("GET", "/version", headers={"Authorization": f"Bearer {token}"} if token else {})
    with connection.getresponse() as response:
        date = response.headers["Date"]
    connection.close()
    return parsedate_to_datetime(date)


def test_a_create_in_time_is_accepted_and_a_late_one_is_refused(fenced: QuickKubectl) -> None:
    now = server_time(fenced)

    assert fenced.create(pod("early", now + timedelta(seconds=60)))
    refused = fenced.create(pod("late", now - timedelta(seconds=2)))

    assert "too late" in refused.stderr
    assert fenced.names("pods") == ["early"]


def test_a_timestamp_of_the_client_is_overwritten_before_the_check(fenced: QuickKubectl) -> None:
    now = server_time(fenced)
    refused = fenced.create(pod("late", now - timedelta(seconds=2), creationTimestamp="2020-01-01T00:00:00Z"))

    assert "too late" in refused.stderr


def test_a_create_that_is_delayed_on_its_way_is_refused(fenced: QuickKubectl) -> None:
    """Like that of an operator that was stopped between its Lease check and its create."""
    deadline = server_time(fenced) + timedelta(seconds=1)
    body = json.dumps(pod("frozen", deadline)).encode()
    connection = connect(fenced.kubeconfig)
    connection.putrequest("POST", collection("pods", fenced.namespace))
    if token := token_of(fenced.kubeconfig):
        connection.putheader("Authorization", f"Bearer {token}")
    connection.putheader("Content-Type", "application/json")
    connection.putheader("Content-Length", str(len(body)))
    connection.endheaders()
    connection.send(body[:-1])

    eventually("the deadline is over", lambda: server_time(fenced) > deadline)
    connection.send(body[-1:])
    with connection.getresponse() as response:
        answer = json.loads(response.read())
    connection.close()

    assert (response.status, answer["reason"]) == (422, "Invalid")
    assert "too late" in answer["message"]
    assert fenced.names("pods") == []


def test_what_a_validating_webhook_delays_is_created_late_with_an_early_stamp(
    fenced: QuickKubectl, tmp_path: Path
) -> None:
    """The limit of the fence: a webhook may take up to 30 seconds, and the stamp was set before it was called."""
    deadline = server_time(fenced) + timedelta(seconds=5)

    def answers_after_the_deadline(_webhook: Webhook, _number: int) -> None:
        eventually("the deadline is over", lambda: server_time(fenced) > deadline, 20)

    with pod_webhook(fenced, tmp_path, "slow", answers_after_the_deadline):
        assert fenced.create(pod("slow", deadline, labels={"podrelay.dev/definition": "slow"}))

    assert server_time(fenced) > deadline
    created = datetime.fromisoformat(fenced.get("pods", "slow")["metadata"]["creationTimestamp"])
    assert created <= deadline
