"""The retention of finished runs by the settings of their namespace. The operator has only the chart's permissions."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from dev.harness.chart import CHART
from dev.harness.kubectl import Kubectl, Manifest
from dev.harness.manifests import TASK_RUNS, task_run
from dev.harness.operator import OperatorProcess
from dev.harness.waiting import eventually
from podrelay.api.settings import CONFIG_MAP
from tests.support.quick import QuickKubectl

pytestmark = pytest.mark.integration

ROLE = "operator"


def rules(*files: str) -> list[dict[str, Any]]:
    """Return the rules of the operator's role in the chart."""
    return [rule for file in files for rule in yaml.safe_load((CHART / "files" / file).read_text(encoding="utf-8"))]


def set_rules(kubectl: Kubectl, wanted: list[dict[str, Any]]) -> None:
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": ROLE}, "rules": wanted}
    applied = kubectl.apply(role)
    assert applied, str(applied)


def as_operator(kubectl: Kubectl, folder: Path) -> Kubectl:
    """Return kubectl with an identity that has that role, with a separate kubeconfig."""
    kubectl.do("create", "serviceaccount", ROLE)
    kubectl.do("create", "rolebinding", ROLE, f"--role={ROLE}", f"--serviceaccount={kubectl.namespace}:{ROLE}")
    config = yaml.safe_load(Path(kubectl.env["BARE_KUBECONFIG"]).read_text(encoding="utf-8"))
    config["users"] = [{"name": ROLE, "user": {"token": kubectl.do("create", "token", ROLE).strip()}}]
    config["contexts"][0]["context"]["user"] = ROLE
    path = folder / "operator.kubeconfig"
    path.write_text(json.dumps(config), encoding="utf-8")
    return replace(kubectl, kubeconfig=path)


def keep(kubectl: Kubectl, days: str) -> None:
    """Set retentionDays of the namespace."""
    manifest: Manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": CONFIG_MAP}}
    applied = kubectl.apply(manifest | {"data": {"retentionDays": days}})
    assert applied, str(applied)


def finish(kubectl: Kubectl, name: str, days_ago: int, **spec: Any) -> None:
    """Create a run that finished a number of days ago."""
    moment = datetime.now(UTC) - timedelta(days=days_ago)
    status = {"phase": "Succeeded", "reason": "Done", "finishedAt": moment.strftime("%Y-%m-%dT%H:%M:%SZ")}
    created = kubectl.create(task_run(name, **spec))
    assert created, str(created)
    assert kubectl.set_status(TASK_RUNS, name, status)


def wait_until_gone(kubectl: Kubectl, name: str) -> None:
    eventually(f"{name} is deleted", lambda: name not in kubectl.names(TASK_RUNS))


def test_finished_runs_are_kept_for_the_time_in_the_settings_of_their_namespace(
    kubectl: Kubectl, tmp_path: Path
) -> None:
    # given an operator of a chart that was not upgraded
    quick = QuickKubectl.instead_of(kubectl)
    allowed = rules("operator-role.yaml", "operator-lease-role.yaml")
    set_rules(kubectl, [rule for rule in allowed if rule["resources"] != ["configmaps"]])
    keep(quick, "365")
    with OperatorProcess(as_operator(kubectl, tmp_path), tmp_path / "operator") as operator:
        # then its default applies, and it logs that
        finish(quick, "by-default", 100)
        wait_until_gone(quick, "by-default")
        assert operator.text.count("the operator is not allowed to read them") == 1

        # when the chart is upgraded, a longer time applies
        set_rules(kubectl, allowed)
        eventually("the settings are read", lambda: "days=365" in operator.text, 40)
        finish(quick, "kept-longer", 100)
        finish(quick, "too-old", 400)
        wait_until_gone(quick, "too-old")
        assert quick.names(TASK_RUNS) == ["kept-longer"]

        # a change applies to runs that wait for their deletion, as soon as it is due
        finish(quick, "newer", 10)
        keep(quick, "30")
        wait_until_gone(quick, "kept-longer")
        assert quick.names(TASK_RUNS) == ["newer"]

        # forever, except for a run with its own TTL
        keep(quick, "0")
        eventually("the change is seen", lambda: "days=0" in operator.text)
        finish(quick, "ancient", 4000)
        finish(quick, "short", 1, ttlSecondsAfterFinished=60)
        wait_until_gone(quick, "short")
        assert quick.names(TASK_RUNS) == ["ancient", "newer"]

        # an invalid value, so nothing is deleted because of it
        keep(quick, "30")
        wait_until_gone(quick, "ancient")
        keep(quick, "3O")
        eventually("it is reported", lambda: "retentionDays is '3O'" in operator.text)
        finish(quick, "saved", 4000)
        finish(quick, "brief", 1, ttlSecondsAfterFinished=60)
        wait_until_gone(quick, "brief")
        assert quick.names(TASK_RUNS) == ["newer", "saved"]
        assert operator.text.count("retentionDays is '3O'") == 1

        # without settings the default applies, also to runs that were kept forever
        finish(quick, "last", 89)
        finish(quick, "beyond", 91)
        kubectl.do("delete", "configmap", CONFIG_MAP)
        for name in ("beyond", "saved"):
            wait_until_gone(quick, name)
        assert quick.names(TASK_RUNS) == ["last", "newer"]
        assert not operator.has_ended, operator.text
        assert "Traceback" not in operator.text, operator.text
