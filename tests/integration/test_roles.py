"""Permissions: the roles of the chart as the API server's authorizer evaluates them, and a few attempts."""

import json
import re
from dataclasses import dataclass
from typing import Any

import pytest
import yaml

from dev.harness.chart import CHART, RELEASE_NAMESPACE
from dev.harness.kubectl import Kubectl
from dev.harness.manifests import TASK_DEFINITIONS, TASK_ITERATIONS, TASK_RUNS, record, task_definition, task_run
from dev.harness.waiting import eventually
from tests.support.pods import RUNNER, add_runner

pytestmark = pytest.mark.integration

READ = {"get", "list", "watch"}
WRITE = {"create", "update", "patch", "delete", "deletecollection"}

Rights = dict[str, set[str]]


def forbidden(result: Any) -> bool:
    return not result and "Error from server (Forbidden)" in result.stderr


def rights(kubectl: Kubectl, everything: bool = False) -> Rights:
    """Return the permissions of an identity in its namespace, by resource; with `everything` for all resources.

    Permissions for certain objects are under the resource with their names: configmaps[podrelay-settings].
    """
    review = kubectl.do("auth", "can-i", "--list", "--no-headers")
    found: Rights = {}
    for line in review.splitlines():
        resource, verbs = line.split(maxsplit=1)[0], line[line.rindex("[") + 1 : line.rindex("]")].split()
        names = re.findall(r"\[([^\]]*)\]", line)[-2]
        resource += f"[{names}]" if names else ""
        mine = resource.endswith(".podrelay.dev") or ".podrelay.dev/" in resource or resource == SETTINGS
        if mine or (everything and not resource.startswith(("[", "self"))):
            found.setdefault(resource.replace(".podrelay.dev", ""), set()).update(verbs)
    return found


def may(kubectl: Kubectl, verb: str, resource: str, subresource: str = "") -> bool:
    """Return whether the authorizer permits an action."""
    return bool(kubectl("auth", "can-i", verb, resource, f"--subresource={subresource}"))


def operator_in(admin: Kubectl, namespace: str) -> Kubectl:
    """Return the operator's identity, in some namespace."""
    return admin.in_namespace(RELEASE_NAMESPACE).as_service_account("podrelay-operator").in_namespace(namespace)


@dataclass(frozen=True)
class People:
    """A namespace and one service account in it for each role."""

    admin: Kubectl
    by_role: dict[str, Kubectl]


@pytest.fixture(scope="module")
def people(shared: Kubectl) -> People:
    ours = ("viewer", "user", "approver", "author", "settings", "restore")
    roles = ("view", "edit", "admin", *(f"podrelay-{name}" for name in ours))
    for role in roles:
        shared.do("create", "serviceaccount", role)
        account = f"--serviceaccount={shared.namespace}:{role}"
        shared.do("create", "rolebinding", f"is-{role}", f"--clusterrole={role}", account)
    add_runner(shared)
    names = (*roles, RUNNER)
    return People(shared, {name: shared.as_service_account(name) for name in names})


SETTINGS = "configmaps[podrelay-settings]"
SEEN = ("taskdefinitions", "taskruns", "taskiterations", "taskschedules", "tasksignals", SETTINGS)
VIEWER: Rights = dict.fromkeys(SEEN, READ)
USER: Rights = VIEWER | {
    "taskruns": READ | WRITE | {"trigger"},
    "taskdefinitions": READ | {"run"},
    "taskschedules": READ | WRITE,
    "tasksignals": READ | {"create", "delete", "deletecollection"},
}
AUTHOR: Rights = {"taskdefinitions": READ | WRITE}
EDITOR: Rights = USER | {"taskdefinitions": READ | WRITE | {"run"}}
RESTORE: Rights = {
    "taskdefinitions": {"get", "list", "create", "run"},
    "taskruns": {"get", "list", "create", "patch", "trigger", "manage"},
    "taskruns/status": {"patch"},
    "taskiterations": {"get", "list", "create", "manage"},
    "tasksignals": {"get", "list", "create", "manage"},
    "tasksignals/status": {"patch"},
    "taskschedules": {"get", "list", "create", "patch"},
    "taskschedules/status": {"patch"},
}
RUNNER_RIGHTS: Rights = {
    "taskruns": {"get", "list", "watch", "create"},
    "taskiterations": {"get", "create", "update"},
    "tasksignals": {"get", "list"},
}
APPROVER: Rights = {"taskruns": READ, "taskdefinitions": READ, "tasksignals": READ | {"create"}}


@pytest.mark.parametrize(
    ("role", "expected"),
    [
        ("podrelay-viewer", VIEWER),
        ("podrelay-user", USER),
        ("podrelay-approver", APPROVER),
        ("podrelay-author", AUTHOR),
        ("podrelay-settings", {SETTINGS: READ | WRITE - {"deletecollection"}}),
        ("podrelay-restore", RESTORE),
        ("podrelay-runner", RUNNER_RIGHTS),
        ("view", VIEWER),
        ("edit", EDITOR),
        ("admin", EDITOR),
    ],
)
def test_a_role_grants_exactly_these_permissions(people: People, role: str, expected: Rights) -> None:
    # The default roles of Kubernetes aggregate Podrelay's roles some time after their installation.
    eventually(f"rights of {role}", lambda: rights(people.by_role[role]) == expected)


def test_the_runner_has_no_other_permissions(people: People) -> None:
    assert rights(people.by_role[RUNNER], everything=True) == RUNNER_RIGHTS


def test_only_the_operator_and_restorers_of_backups_write_the_status_of_a_run(people: People, admin: Kubectl) -> None:
    assert people.admin.create(task_run("statusless"))
    for role, kubectl in people.by_role.items():
        if role == "podrelay-restore":
            continue
        attempt = kubectl.set_status(TASK_RUNS, "statusless", {"phase": "Succeeded"})
        assert forbidden(attempt), str(attempt)
        assert not may(kubectl, "patch", TASK_RUNS, "status")
        assert not may(kubectl, "update", TASK_RUNS, "status")
    assert may(operator_in(admin, people.admin.namespace), "patch", TASK_RUNS, "status")


def test_no_user_writes_records_or_the_status_of_definitions(people: People) -> None:
    assert people.admin.create(task_definition("statusless"))
    for role in ("edit", "admin"):
        kubectl = people.by_role[role]
        assert forbidden(kubectl.create(record("words-i1"), flags=("--dry-run=server",)))
        assert forbidden(kubectl.set_status(TASK_DEFINITIONS, "statusless", {"activeRuns": 0}))


def test_daily_work_as_editor(people: People) -> None:
    editor = people.by_role["edit"]
    eventually("edit includes Podrelay's role", lambda: may(editor, "trigger", TASK_RUNS))
    assert editor.apply(task_definition("count-words"))
    assert editor.apply(task_run("by-edit"))
    assert editor.patch(TASK_RUNS, "by-edit", {"spec": {"abort": {"message": "wrong file"}}})
    assert editor("get", "podrelay")
    assert editor("delete", TASK_RUNS, "by-edit")


def test_the_runner_cannot_delete_or_change_runs(people: People) -> None:
    runner = people.by_role[RUNNER]
    assert people.admin.create(task_run("running"))
    assert runner("get", TASK_RUNS, "running")
    assert forbidden(runner("delete", TASK_RUNS, "running"))
    assert forbidden(runner.patch(TASK_RUNS, "running", {"spec": {"abort": {}}}))
    assert forbidden(runner("delete", TASK_ITERATIONS, "running-i1"))
    assert forbidden(runner("get", TASK_DEFINITIONS))
    assert forbidden(runner("get", "pods"))


def rights_of_file(name: str) -> Rights:
    """Return the rules of a generated file of the chart, by resource."""
    found: Rights = {}
    for rule in yaml.safe_load((CHART / "files" / name).read_text(encoding="utf-8")):
        for group in rule["apiGroups"]:
            for resource in rule["resources"]:
                base, _, subresource = resource.partition("/")
                suffix = f".{group}" if group and group != "podrelay.dev" else ""
                # kubectl prints a line for each name.
                for only in rule.get("resourceNames", [""]):
                    full = base + suffix + (f"[{only}]" if only else "")
                    found.setdefault(f"{full}/{subresource}".rstrip("/"), set()).update(rule["verbs"])
    return found


def test_the_operator_has_exactly_the_permissions_in_its_file(people: People, admin: Kubectl) -> None:
    expected = rights_of_file("operator-role.yaml")
    assert "manage" in expected["taskiterations"]
    assert rights(operator_in(admin, people.admin.namespace), everything=True) == expected


def test_the_operator_has_its_lease_only_in_its_own_namespace(people: People, admin: Kubectl) -> None:
    lease = rights_of_file("operator-lease-role.yaml")
    home, elsewhere = operator_in(admin, RELEASE_NAMESPACE), operator_in(admin, people.admin.namespace)
    assert rights(home, everything=True) == rights_of_file("operator-role.yaml") | lease
    assert not may(elsewhere, "get", "leases.coordination.k8s.io")


def test_the_operator_reads_the_settings_of_all_namespaces_and_no_other_config_map(
    people: People, admin: Kubectl
) -> None:
    operator = operator_in(admin, "")
    everywhere, ours = "/api/v1/configmaps", "?fieldSelector=metadata.name%3Dpodrelay-settings"
    people.admin.do("create", "configmap", "podrelay-settings", "--from-literal=retentionDays=3650")

    found = json.loads(operator.do("get", "--raw", everywhere + ours))["items"]
    event = operator.do("get", "--raw", f"{everywhere}{ours}&watch=true&timeoutSeconds=1")

    assert people.admin.namespace in {item["metadata"]["namespace"] for item in found}
    assert {item["metadata"]["name"] for item in found} == {"podrelay-settings"}
    assert '"type":"ADDED"' in event
    assert forbidden(operator("get", "--raw", everywhere))
    assert forbidden(operator("get", "--raw", f"{everywhere}?fieldSelector=metadata.name%3Dothers"))
    assert forbidden(operator("get", "--raw", f"/api/v1/namespaces/{people.admin.namespace}/configmaps"))


def test_the_operator_cannot_create_runs_or_enter_pods(people: People, admin: Kubectl) -> None:
    operator = operator_in(admin, people.admin.namespace)
    assert forbidden(operator.create(task_run("by-operator"), flags=("--dry-run=server",)))
    assert forbidden(operator.create(task_definition("by-operator"), flags=("--dry-run=server",)))
    assert not may(operator, "get", "secrets")
    assert not may(operator, "create", "pods", "exec")
