"""`podrelay doctor`: a namespace in which nothing is right, put right step by step."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support import forked
from tests.support.kubectl import Kubectl
from tests.support.manifests import TASK_RUNS, task_definition, task_run
from tests.support.operator import OperatorProcess
from tests.support.pods import add_runner
from tests.support.quick import QuickKubectl
from tests.support.relay import Relay
from tests.support.waiting import eventually

pytestmark = pytest.mark.integration


def doctor(kubectl: Kubectl, kubeconfig: Path | None = None) -> tuple[int, list[dict[str, Any]]]:
    place = [f"--kubeconfig={kubeconfig or kubectl.kubeconfig}", f"--namespace={kubectl.namespace}"]
    ended = forked.command(["doctor", "-o", "json", *place], kubectl.env)
    assert "Traceback" not in ended.stderr, ended.stderr
    return ended.returncode, [json.loads(line) for line in ended.stdout.splitlines()]


def problems(found: list[dict[str, Any]]) -> str:
    return "\n".join(f"{item['what']} -> {item['advice']}" for item in found if item["verdict"] == "problem")


def test_an_empty_namespace_lacks_everything_and_says_what_to_do(kubectl: Kubectl) -> None:
    code, found = doctor(kubectl)

    assert code == 1
    told = problems(found)
    assert "has no service account podrelay-runner" in told
    assert "no RoleBinding gives podrelay-runner" in told
    assert "has no TaskDefinition -> podrelay manifests" in told


def test_a_run_that_nobody_has_seen_is_told_by_kubectl_and_the_doctor(kubectl: Kubectl) -> None:
    api = QuickKubectl.instead_of(kubectl)
    assert api.create(task_definition("count-words"))
    assert api.create(task_run("unseen"))

    shown = kubectl.do("get", "trun", "unseen")
    assert "NotSeen" in shown
    assert "no operator has seen this run yet" in api.get(TASK_RUNS, "unseen")["status"]["message"]
    eventually("it is old enough", lambda: "no operator has seen unseen" in problems(doctor(kubectl)[1]), 60)
    assert "no operator has seen TaskDefinition count-words" in problems(doctor(kubectl)[1])


def test_where_all_is_well_it_says_so_and_what_is_stalled_is_told(idle_relay: Relay, tmp_path: Path) -> None:
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


def test_who_may_read_little_learns_what_is_unknown_and_which_rights_are_missing(
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
