"""What a fence made of time can rest on: when the API server stamps a new pod, and when it checks the stamp.

A policy compares `metadata.creationTimestamp` with a time in an annotation. The API server sets that stamp itself,
after mutating and before validating admission (pkg/registry/rest/create.go, BeforeCreate), so a create that was delayed
on its way is refused. A validating webhook runs after the policy: what it delays is created late, with an early stamp.
"""

import json
import signal
from dataclasses import replace
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import pytest

from dev.cluster import Cluster
from dev.harness.kubectl import Kubectl, Manifest
from dev.harness.operator import SHORT_LEASE, OperatorProcess
from dev.harness.waiting import eventually
from podrelay.api import names
from podrelay.kube.kill_points import ENV_STOP_BEFORE_WRITE
from tests.support.audit import refused_pods
from tests.support.faultproxy import FaultProxy
from tests.support.quick import QuickKubectl, collection, connect, token_of
from tests.support.relay import Relay
from tests.support.webhook import Webhook, pod_webhook

pytestmark = pytest.mark.integration

GOOD_UNTIL = names.ANNOTATION_GOOD_UNTIL
REFUSED = "the request to create this pod took longer than the Lease of its operator allows"


@pytest.fixture
def fenced(kubectl: Kubectl, installed: None) -> QuickKubectl:
    """A namespace, with the chart's policies."""
    return QuickKubectl.instead_of(kubectl)


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

    assert REFUSED in refused.stderr
    assert fenced.names("pods") == ["early"]


def test_a_timestamp_of_the_client_is_overwritten_before_the_check(fenced: QuickKubectl) -> None:
    now = server_time(fenced)
    refused = fenced.create(pod("late", now - timedelta(seconds=2), creationTimestamp="2020-01-01T00:00:00Z"))

    assert REFUSED in refused.stderr


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
    assert REFUSED in answer["message"]
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


# --- the operator ----------------------------------------------------------------------------------------------------


@pytest.fixture(params=[names.REPORTING_API, names.REPORTING_TERMINATION_MESSAGE])
def defined(request: pytest.FixtureRequest, idle_relay: Relay) -> Relay:
    """A namespace with a definition whose pods are deleted after their end, without an operator."""
    if request.param == names.REPORTING_API:
        idle_relay.define("Chain", "once")
    else:
        calls = f'echo "$PODRELAY_ITERATION $PODRELAY_TRY" >> {idle_relay.trace("run")}'
        idle_relay.define_script("once", f"""{calls}; printf '{{"status":"done"}}' > /dev/termination-log""")
    return idle_relay


def refused(cluster: Cluster, relay: Relay) -> int:
    assert cluster.audit_log is not None
    return refused_pods(cluster.audit_log, relay.kubectl.namespace)


def comes_and_goes(relay: Relay, operator: OperatorProcess) -> None:
    """Wait until another operator has completed the run and deleted its pod, so that the name is free again."""
    eventually("it leads", lambda: " leading" in operator.text)
    assert relay.finished("run")["phase"] == "Succeeded"
    eventually("its pod is deleted", lambda: relay.pods("run") == [])


def test_a_frozen_operator_creates_nothing_after_another_has_taken_over(
    defined: Relay, cluster: Cluster, tmp_path: Path
) -> None:
    """It is stopped between the check of its Lease and its request, which is sent after the pod has come and gone."""
    relay = defined
    frozen = OperatorProcess(
        relay.kubectl, tmp_path / "frozen", environment={ENV_STOP_BEFORE_WRITE: "1"}, flags=(SHORT_LEASE,)
    )
    with frozen:
        eventually("it leads", lambda: " leading" in frozen.text)
        with OperatorProcess(relay.kubectl, tmp_path / "next", flags=(SHORT_LEASE,)) as following:
            relay.run("run", "once", input={"length": 1})
            comes_and_goes(relay, following)
            frozen.process.send_signal(signal.SIGCONT)

            eventually("its request is refused", lambda: refused(cluster, relay))
            eventually("it notices that it no longer leads", lambda: "leadership lost" in frozen.text)
            assert relay.pods("run") == []
            assert relay.calls("run") == [(1, 1)]


def test_a_request_that_was_delayed_on_its_way_creates_nothing(
    defined: Relay, cluster: Cluster, tmp_path: Path
) -> None:
    relay = defined
    with FaultProxy(relay.kubectl.kubeconfig, 0, 0.0).serving() as proxy:
        behind = replace(relay.kubectl, kubeconfig=proxy.kubeconfig(tmp_path))
        with OperatorProcess(behind, tmp_path / "behind", flags=(SHORT_LEASE,)) as first:
            eventually("it leads", lambda: " leading" in first.text)
            proxy.delayed = "pods"
            relay.run("run", "once", input={"length": 1})
            eventually("it sends its request", lambda: proxy.has_delayed)
            first.kill()
        with OperatorProcess(relay.kubectl, tmp_path / "next", flags=(SHORT_LEASE,)) as following:
            comes_and_goes(relay, following)
            proxy.delayed = ""
            eventually("the request was refused", lambda: refused(cluster, relay))

            assert relay.pods("run") == []
            assert relay.calls("run") == [(1, 1)]


def test_a_pod_whose_admission_takes_longer_than_the_lease_is_created(idle_relay: Relay, tmp_path: Path) -> None:
    """A mutating webhook is called before the pod gets its creation time, and may take 30 seconds."""
    relay = idle_relay
    relay.define("Chain", "slow")
    with (
        pod_webhook(relay.kubectl, tmp_path, "slow", lambda webhook, _: webhook.wait(5), mutates=True) as webhook,
        OperatorProcess(relay.kubectl, tmp_path / "operator", flags=(SHORT_LEASE,)),
    ):
        relay.run("run", "slow", input={"length": 1})
        assert relay.finished("run")["phase"] == "Succeeded"

    assert webhook.calls >= 2
    assert relay.calls("run") == [(1, 1)]
