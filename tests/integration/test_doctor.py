"""`podrelay doctor`: a namespace with many problems, which are fixed step by step."""

import json
from pathlib import Path
from typing import Any

import pytest

from dev.harness import forked
from dev.harness.kubectl import Kubectl
from dev.harness.manifests import TASK_RUNS, task_definition, task_run
from dev.harness.operator import OperatorProcess
from dev.harness.waiting import eventually
from tests.support.pods import add_runner
from tests.support.quick import QuickKubectl
from tests.support.relay import Relay

pytestmark = pytest.mark.integration


def doctor(kubectl: Kubectl, kubeconfig: Path | None = None) -> tuple[int, list[dict[str, Any]]]:
    place = [f"--kubeconfig={kubeconfig or kubectl.kubeconfig}", f"--namespace={kubectl.namespace}"]
    ended = forked.command(["doctor", "-o", "json", *place], kubectl.env)
    assert "Traceback" not in ended.stderr, ended.stderr
    return ended.returncode, [json.loads(line) for line in ended.stdout.splitlines()]


def problems(found: list[dict[str, Any]]) -> str:
    return "\n".join(f"{item['what']} -> {item['advice']}" for item in found if item["verdict"] == "problem")


def test_in_an_empty_namespace_everything_is_missing_with_advice(kubectl: Kubectl) -> None:
    code, found = doctor(kubectl)

    assert code == 1
    found_problems = problems(found)
    assert "has no service account podrelay-runner" in found_problems
    assert "no RoleBinding gives podrelay-runner" in found_problems
    assert "has no TaskDefinition -> podrelay manifests" in found_problems


def test_a_run_without_an_operator_is_reported_by_kubectl_and_the_doctor(kubectl: Kubectl) -> None:
    api = QuickKubectl.instead_of(kubectl)
    assert api.create(task_definition("count-words"))
    assert api.create(task_run("unseen"))

    shown = kubectl.do("get", "trun", "unseen")
    assert "NotSeen" in shown
    assert "no operator has seen this run yet" in api.get(TASK_RUNS, "unseen")["status"]["message"]
    eventually("it is old enough", lambda: "no operator has seen unseen" in problems(doctor(kubectl)[1]), 60)
    assert "no operator has seen TaskDefinition count-words" in problems(doctor(kubectl)[1])


def test_the_doctor_reports_a_healthy_namespace_and_stalled_runs(idle_relay: Relay, tmp_path: Path) -> None:
    relay = idle_relay
    with OperatorProcess(relay.kubectl, tmp_path / "operator"):
        relay.define("Answer")
        relay.run("well", "answer", input={"how": "done"})
        relay.finished("well")

        code, found = doctor(relay.kubectl)
        assert (code, problems(found)) == (0, "")
        assert any("TaskDefinition answer is ready" in item["what"] for item in found)
        assert any("leads" in item["what"] for item in found)

        relay.run("nowhere", "no-such-task")
        relay.until("nowhere", "it is stalled", reason="DefinitionNotFound")
        code, found = doctor(relay.kubectl)
        assert code == 1
        assert "no pod can start for nowhere (DefinitionNotFound" in problems(found)


def test_a_user_with_few_permissions_is_shown_unknowns_and_missing_permissions(
    kubectl: Kubectl, tmp_path: Path
) -> None:
    add_runner(kubectl)
    kubectl.do("create", "serviceaccount", "viewer")
    user = f"--serviceaccount={kubectl.namespace}:viewer"
    kubectl.do("create", "rolebinding", "viewer", "--clusterrole=podrelay-viewer", user)
    token = kubectl.do("create", "token", "viewer").strip()

    code, found = doctor(kubectl, kubeconfig_of(kubectl, token, tmp_path))

    assert code == 1
    unknown = [item["what"] for item in found if item["verdict"] == "unknown"]
    assert any("you may not read Leases" in what for what in unknown)
    assert any("you may not read it" in what for what in unknown)
    assert "you may not start runs" in problems(found)


def kubeconfig_of(kubectl: Kubectl, token: str, folder: Path) -> Path:
    path = folder / "kubeconfig"
    path.write_bytes(kubectl.kubeconfig.read_bytes())
    kubectl.do("config", f"--kubeconfig={path}", "set-credentials", "viewer", f"--token={token}")
    kubectl.do("config", f"--kubeconfig={path}", "set-context", "--current", "--user=viewer")
    return path
