"""A status that the API server rejects: the run itself cannot show it, so an Event and the log do."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from dev.harness.kubectl import Kubectl, Manifest
from dev.harness.manifests import TASK_RUNS, task_run
from dev.harness.operator import OperatorProcess
from dev.harness.waiting import eventually
from tests.support.relay import Relay

pytestmark = pytest.mark.integration


@contextmanager
def refusal(kubectl: Kubectl, admin: Kubectl, group: str, resource: str) -> Iterator[str]:
    """Create a policy that rejects all changes of such objects in this namespace, like an unexpected rule."""
    name = f"refusing-{kubectl.namespace}"
    api = {"apiVersion": "admissionregistration.k8s.io/v1", "metadata": {"name": name}}
    rule = {"apiGroups": [group], "apiVersions": ["*"], "operations": ["UPDATE"], "resources": [resource]}
    policy: Manifest = api | {"kind": "ValidatingAdmissionPolicy"}
    policy["spec"] = {
        "matchConstraints": {"resourceRules": [rule]},
        "validations": [{"expression": "false", "message": "nothing today"}],
    }
    binding: Manifest = api | {"kind": "ValidatingAdmissionPolicyBinding"}
    here = {"matchLabels": {"kubernetes.io/metadata.name": kubectl.namespace}}
    binding["spec"] = {
        "policyName": name,
        "validationActions": ["Deny"],
        "matchResources": {"namespaceSelector": here},
    }
    assert admin.create(policy, binding)
    yield name
    admin("delete", f"validatingadmissionpolicybinding/{name}", f"validatingadmissionpolicy/{name}")


@pytest.fixture
def refusing(kubectl: Kubectl, admin: Kubectl) -> Iterator[str]:
    """The name of a policy that rejects every status of a run."""
    with refusal(kubectl, admin, "podrelay.dev", "taskruns/status") as name:
        assert kubectl.create(task_run("probe"))
        eventually("the policy in force", lambda: not kubectl.set_status(TASK_RUNS, "probe", {"message": "m"}))
        kubectl.do("delete", TASK_RUNS, "probe")
        yield name


def is_refused_often(operator: OperatorProcess) -> bool:
    return operator.text.count("reconcile failed") >= 3


def events(kubectl: Kubectl) -> list[str]:
    path = 'jsonpath={range .items[*]}{.type} {.involvedObject.name} {.reason} {.message}{"\\n"}{end}'
    return kubectl.do("get", "events", "--output", path).splitlines()


def test_a_rejected_status_is_one_event_regardless_of_the_leader(
    kubectl: Kubectl, admin: Kubectl, refusing: str, tmp_path: Path
) -> None:
    assert kubectl.create(task_run("mute"))
    for replica in ("first", "second"):
        with OperatorProcess(kubectl, tmp_path / replica) as operator:
            eventually("it was rejected several times", partial(is_refused_often, operator))
            assert "the API server refuses the status of this run" in operator.text
            (event,) = events(kubectl)
            assert event.startswith("Warning mute StatusRefused the API server refuses the status of this run")
            assert "nothing today" in event
            assert operator.text.count("the API server refuses the status") == 1
    assert "StatusRefused" in kubectl.do("describe", TASK_RUNS, "mute")

    admin.do("delete", f"validatingadmissionpolicybinding/{refusing}")
    with OperatorProcess(kubectl, tmp_path / "third"):
        eventually(
            "it continues", lambda: kubectl.get(TASK_RUNS, "mute")["status"].get("reason") == "DefinitionNotFound"
        )


def test_a_pod_that_may_not_be_ended_is_reported(idle_relay: Relay, admin: Kubectl, tmp_path: Path) -> None:
    relay = idle_relay
    relay.define("Sleep")
    with OperatorProcess(relay.kubectl, tmp_path / "operator"):
        relay.run("endless", "sleep")
        eventually("it works", lambda: relay.calls("endless"))
        with refusal(relay.kubectl, admin, "", "pods"):
            labels = {"metadata": {"labels": {"probe": "yes"}}}
            eventually("the policy in force", lambda: not relay.kubectl.patch("pods", "endless-i1", labels))
            relay.abort("endless")

            def reported() -> list[str]:
                return [event for event in events(relay.kubectl) if " endless WriteRefused " in event]

            (event,) = eventually("it is reported", reported) or [""]
            assert event.startswith("Warning endless WriteRefused the API server refuses a write of the operator")
            assert "nothing today" in event
        assert relay.finished("endless", 60)["phase"] == "Aborted"
