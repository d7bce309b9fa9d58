"""Etcd is restored from a snapshot: everything that was seen since then is invalid and must be discarded.

No process of Podrelay is restarted from outside.
"""

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from dev.harness import chart
from dev.harness.gateway import GatewayProcess
from dev.harness.kubectl import Kubectl
from dev.harness.manifests import TASK_DEFINITIONS, TASK_RUNS, task_definition, task_run
from dev.harness.operator import OperatorProcess
from dev.harness.waiting import eventually
from tests.support.quick import QuickKubectl
from tests.support.restorable import RestorableCluster

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

WRITES_SINCE = 600
"""The number of versions that are lost: more than a control plane creates while everything starts again."""


@pytest.fixture
def database(tmp_path: Path) -> Iterator[RestorableCluster]:
    with RestorableCluster(tmp_path / "cluster").running() as running:
        yield running


def status(kubectl: Kubectl, name: str) -> dict[str, Any]:
    found: dict[str, Any] = kubectl.get(TASK_RUNS, name).get("status", {})
    return found


def seen_by(gateway: GatewayProcess, namespace: str) -> dict[str, str]:
    user = gateway.as_token(None, namespace)
    data = user.ask("{ backgroundTasks { listTasks { data { id reason } } } }").data
    return {task["id"]: task["reason"] for task in data["listTasks"]["data"]}


def test_operators_and_gateways_restart_after_a_restore(database: RestorableCluster, tmp_path: Path) -> None:
    # given a snapshot in which `old` is suspended and `later` does not exist
    admin = Kubectl.of(database.cluster, tmp_path)
    chart.install(admin)
    kubectl = admin.in_namespace("default")
    assert kubectl.apply(task_definition("count-words"))
    assert kubectl.create(task_run("old", suspend=True))
    folders = (tmp_path / "first", tmp_path / "second")
    with OperatorProcess(kubectl, folders[0]):
        eventually("it has a state", lambda: status(kubectl, "old").get("reason") == "Suspended")
    database.snapshot()

    first, second = (OperatorProcess(kubectl, folder) for folder in folders)
    flags = ("--auth=none", f"--namespace={kubectl.namespace}")
    with first, second, GatewayProcess(kubectl.kubeconfig, tmp_path / "gateway", flags) as gateway:
        # when many changes happen and are lost
        eventually("one leads", lambda: " leading" in first.text + second.text)
        assert kubectl.patch(TASK_RUNS, "old", {"spec": {"abort": {"message": "enough"}}})
        eventually("it is aborted", lambda: status(kubectl, "old").get("phase") == "Aborted")
        assert kubectl.create(task_run("later"))
        eventually("it has its pod", lambda: kubectl("get", "pod", "later-i1"))
        assert kubectl.patch(TASK_DEFINITIONS, "count-words", {"spec": {"title": "Changed"}})
        make_versions(kubectl)
        eventually("the gateway sees it", lambda: "later" in seen_by(gateway, kubectl.namespace))
        database.restore()

        # then all programs use the restored objects
        assert status(kubectl, "old").get("reason") == "Suspended"
        for operator in (first, second):
            eventually("it restarts", partial(has_restarted, operator), 120)
        eventually("the gateway sees it", lambda: seen_by(gateway, kubectl.namespace) == {"old": "Suspended"}, 60)
        assert kubectl.patch(TASK_RUNS, "old", {"spec": {"suspend": False}})
        eventually("it has its pod", lambda: kubectl("get", "pod", "old-i1"), 60)
        # The API server itself may not have found the definitions of its policies yet.
        eventually("it is accepted", lambda: kubectl.create(task_run("later")), 60)
        eventually("it has its pod", lambda: kubectl("get", "pod", "later-i1"), 60)
        eventually("the gateway sees it", lambda: "later" in seen_by(gateway, kubectl.namespace))

        assert not first.has_ended
        assert not second.has_ended
        for operator in (first, second):
            assert len(re.findall("caches filled", operator.text)) == 2, "once for each start"


def has_restarted(operator: OperatorProcess) -> bool:
    return "starting again with empty caches" in operator.text


def make_versions(kubectl: Kubectl) -> None:
    """Increase the resource version of the API server."""
    api = QuickKubectl.instead_of(kubectl)
    path = f"/api/v1/namespaces/{kubectl.namespace}/configmaps"
    for _ in range(WRITES_SINCE // 2):
        assert api.ask("POST", path, {"metadata": {"name": "noise"}})
        assert api.ask("DELETE", f"{path}/noise")
