"""Namespaces for tasks: `podrelay namespace prepare`, and the chart's taskNamespaces, which do the same."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from dev.harness import forked
from dev.harness.chart import CHART, helm, render
from dev.harness.kubectl import Kubectl, Manifest
from dev.harness.manifests import TASK_ITERATIONS
from tests.support.namespaces import temporary_namespace
from tests.support.pods import RUNNER

pytestmark = pytest.mark.integration

ACCOUNT, BINDING = f"serviceaccount/{RUNNER}", f"rolebinding.rbac.authorization.k8s.io/{RUNNER}"


def prepare(kubectl: Kubectl, *names: str, kubeconfig: Path | None = None) -> subprocess.CompletedProcess[str]:
    ended = forked.command(
        ["namespace", "prepare", *names, f"--kubeconfig={kubeconfig or kubectl.kubeconfig}"], kubectl.env
    )
    assert "Traceback" not in ended.stderr, ended.stderr
    return ended


def done(ended: subprocess.CompletedProcess[str]) -> list[str]:
    """Return the lines about the objects."""
    assert ended.returncode == 0, ended
    return [line for line in ended.stdout.splitlines() if "/" in line.partition(" ")[0]]


@pytest.fixture
def new_name(admin: Kubectl, installed: None) -> Iterator[str]:
    """The name of a namespace that does not exist; if it exists at the end, it is deleted."""
    name = f"test-{uuid4().hex[:8]}"
    yield name
    admin("delete", "namespace", name, "--ignore-not-found", "--wait=false")


@pytest.fixture
def chart(tmp_path: Path) -> Path:
    """The part of the chart for namespaces of tasks, because tests share the other objects."""
    small = tmp_path / "chart"
    shutil.copytree(CHART, small, ignore=shutil.ignore_patterns("crds", "templates", "README.md"))
    (small / "templates").mkdir()
    for file in ("_helpers.tpl", "runner.yaml"):
        shutil.copy(CHART / "templates" / file, small / "templates" / file)
    return small


def owned(kubectl: Kubectl) -> list[Manifest]:
    """Return the objects for tasks in a namespace, without its name and fields set by the API server and Helm."""
    found = []
    for kind in ("serviceaccount", "rolebinding"):
        stored = kubectl.get(kind, RUNNER)
        labels = stored["metadata"]["labels"]
        kept = {key: labels[key] for key in ("app.kubernetes.io/name", "app.kubernetes.io/part-of")}
        found.append(stored | {"metadata": {"name": RUNNER, "labels": kept}})
    text = json.dumps(found).replace(kubectl.namespace, "NAMESPACE")
    result: list[Manifest] = json.loads(text)
    return result


def test_missing_objects_are_created_once(admin: Kubectl, new_name: str) -> None:
    assert done(prepare(admin, new_name)) == [
        f"namespace/{new_name} created",
        f"{ACCOUNT} created",
        f"{BINDING} created",
    ]

    inside = admin.in_namespace(new_name)
    account = f"--as=system:serviceaccount:{new_name}:{RUNNER}"
    assert inside("auth", "can-i", "create", TASK_ITERATIONS, account)

    inside.do("label", ACCOUNT, "team=words")
    inside.do("delete", BINDING)
    assert done(prepare(admin, new_name)) == [
        f"namespace/{new_name} unchanged",
        f"{ACCOUNT} unchanged",
        f"{BINDING} created",
    ]
    assert done(prepare(admin, new_name, "default"))[:3] == [
        f"namespace/{new_name} unchanged",
        f"{ACCOUNT} unchanged",
        f"{BINDING} unchanged",
    ]
    assert inside.get("serviceaccount", RUNNER)["metadata"]["labels"]["team"] == "words"


def test_the_command_creates_the_same_objects_as_the_chart(admin: Kubectl, kubectl: Kubectl, new_name: str) -> None:
    prepare(admin, new_name)
    rendered = render({"taskNamespaces": [kubectl.namespace]})
    in_namespace = [item for item in rendered if item["metadata"].get("namespace") == kubectl.namespace]
    applied = kubectl.apply(*in_namespace, flags=("--server-side",))
    assert applied, str(applied)

    assert owned(admin.in_namespace(new_name)) == owned(kubectl)
    assert sorted(item["kind"] for item in in_namespace) == ["RoleBinding", "ServiceAccount"]


def test_helm_and_the_command_accept_each_others_namespaces(kubectl: Kubectl, chart: Path, new_name: str) -> None:
    def upgrade(*flags: str) -> subprocess.CompletedProcess[str]:
        place = (f"--kubeconfig={kubectl.kubeconfig}", f"--namespace={kubectl.namespace}")
        names = f"--set=taskNamespaces={{{kubectl.namespace},{new_name}}}"
        return helm("upgrade", "--install", "podrelay", str(chart), names, *flags, *place)

    prepare(kubectl, new_name)
    refused = upgrade()
    assert refused.returncode != 0
    assert "--take-ownership" in (CHART / "README.md").read_text()
    taken = upgrade("--take-ownership")
    assert taken.returncode == 0, taken.stderr
    assert done(prepare(kubectl, new_name)) == [
        f"namespace/{new_name} unchanged",
        f"{ACCOUNT} unchanged",
        f"{BINDING} unchanged",
    ]
    again = upgrade()
    assert again.returncode == 0, again.stderr


@pytest.mark.parametrize("template", ["runner.yaml", "operator-rbac.yaml"])
def test_helm_names_a_missing_namespace_and_leaves_no_failed_release(
    kubectl: Kubectl, chart: Path, new_name: str, template: str
) -> None:
    (chart / "templates" / "runner.yaml").unlink()
    shutil.copy(CHART / "templates" / template, chart / "templates" / template)
    value = {"runner.yaml": "taskNamespaces", "operator-rbac.yaml": "operator.namespaces"}[template]
    place = (f"--kubeconfig={kubectl.kubeconfig}", f"--namespace={kubectl.namespace}")
    names = f"--set={value}={{{kubectl.namespace},{new_name}}}"

    refused = helm("install", "podrelay", str(chart), names, *place, "--dry-run=server")
    assert refused.returncode != 0
    refused = helm("install", "podrelay", str(chart), names, *place)
    assert refused.returncode != 0
    assert f"The value {value} names the namespace {new_name}, which does not exist" in refused.stderr
    assert json.loads(helm("list", "--output=json", *place).stdout) == []

    (command,) = (line.split() for line in refused.stderr.splitlines() if line.startswith("  kubectl "))
    kubectl.do(*command[1:])
    if template == "runner.yaml":  # the other one would change the role of this cluster's operator
        installed = helm("install", "podrelay", str(chart), names, *place)
        assert installed.returncode == 0, installed.stderr
    else:
        installed = helm("install", "podrelay", str(chart), names, *place, "--dry-run=server")
        assert "does not exist" not in installed.stderr


def test_a_namespace_that_is_being_deleted_is_not_prepared(kubectl: Kubectl) -> None:
    held = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "held", "finalizers": ["test.dev/held"]}}
    assert kubectl.create(held)
    kubectl.do("delete", "namespace", kubectl.namespace, "--wait=false")
    try:
        ended = prepare(kubectl, kubectl.namespace)
        assert ended.returncode == 1
        assert f"namespace {kubectl.namespace} is being deleted: run this again when it is gone" in ended.stderr
        assert ended.stdout == ""
    finally:
        assert kubectl.patch("configmap", "held", {"metadata": {"finalizers": None}})


def test_a_different_object_with_that_name_is_reported_and_kept(kubectl: Kubectl) -> None:
    subject = f"--serviceaccount={kubectl.namespace}:another"
    kubectl.do("create", "rolebinding", RUNNER, "--clusterrole=view", subject)

    ended = prepare(kubectl, kubectl.namespace)
    assert ended.returncode == 1
    assert f"kubectl -n {kubectl.namespace} delete {BINDING.replace('/', ' ')}, then run this again" in ended.stderr
    assert kubectl.get("rolebinding", RUNNER)["subjects"][0]["name"] == "another"

    kubectl.do("delete", BINDING)
    kubectl.do("create", "rolebinding", RUNNER, f"--clusterrole={RUNNER}", subject)
    ended = prepare(kubectl, kubectl.namespace)
    assert ended.returncode == 1
    assert "is not the one that tasks need" in ended.stderr


def test_a_missing_permission_is_named(kubectl: Kubectl, new_name: str, tmp_path: Path) -> None:
    user = as_user(kubectl, "limited", tmp_path)
    ended = prepare(kubectl, kubectl.namespace, kubeconfig=user)
    assert ended.returncode == 1
    words = f"you may not write a ServiceAccount in {kubectl.namespace}: "
    assert f"{words}ask for a RoleBinding to the ClusterRole admin there" in ended.stderr

    # May check whether a namespace exists, not create one.
    cluster_role = f"--serviceaccount={kubectl.namespace}:limited"
    kubectl.do("create", "clusterrolebinding", new_name, "--clusterrole=view", cluster_role)
    try:
        ended = prepare(kubectl, new_name, kubeconfig=user)
    finally:
        kubectl.do("delete", "clusterrolebinding", new_name)
    assert ended.returncode == 1
    assert f"ask an administrator to run `kubectl create namespace {new_name}`" in ended.stderr

    # The role admin of a namespace has fewer permissions than the runner's role, so it cannot grant that.
    kubectl.do("create", "rolebinding", "limited", "--clusterrole=admin", cluster_role)
    ended = prepare(kubectl, kubectl.namespace, kubeconfig=user)
    assert ended.returncode == 1
    assert ended.stdout.splitlines() == [f"namespace/{kubectl.namespace} unchanged", f"{ACCOUNT} created"]
    assert "you may not bind the ClusterRole podrelay-runner" in ended.stderr

    # Sufficient permissions. Few users may list Deployments in all namespaces.
    kubectl.do("create", "clusterrole", new_name, "--verb=bind", "--resource=clusterroles", f"--resource-name={RUNNER}")
    kubectl.do("create", "rolebinding", "binder", f"--clusterrole={new_name}", cluster_role)
    try:
        ended = prepare(kubectl, kubectl.namespace, kubeconfig=user)
    finally:
        kubectl.do("delete", "clusterrole", new_name)
    assert done(ended)[2] == f"{BINDING} created"
    assert f"whether an operator watches {kubectl.namespace} is unknown" in ended.stderr


def as_user(kubectl: Kubectl, name: str, folder: Path) -> Path:
    """Return the kubeconfig of a new service account."""
    kubectl.do("create", "serviceaccount", name)
    settings = json.loads(kubectl.do("config", "view", "--raw", "--output=json"))
    settings["users"] = [{"name": name, "user": {"token": kubectl.do("create", "token", name).strip()}}]
    settings["contexts"][0]["context"]["user"] = name
    file = folder / f"{name}.kubeconfig"
    file.write_text(json.dumps(settings))
    return file


def test_the_command_prints_the_next_step_until_an_operator_watches(kubectl: Kubectl) -> None:
    labels = {"app.kubernetes.io/name": "podrelay", "app.kubernetes.io/component": "operator"}
    with temporary_namespace(kubectl) as system:

        def operator(*arguments: str) -> None:
            """Apply the Deployment of an operator; no controller in this cluster starts its pods."""
            container = {"name": "operator", "image": "podrelay", "args": [*arguments]}
            pod = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
            spec = {"replicas": 0, "selector": {"matchLabels": labels}, "template": pod}
            metadata = {
                "name": "podrelay-operator",
                "labels": labels | {"app.kubernetes.io/instance": "relay"},
            }
            applied = system.apply({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec})
            assert applied, str(applied)

        assert "no operator is deployed in this cluster" in prepare(kubectl, kubectl.namespace).stderr

        operator("--namespace=blog", "--namespace=news")
        ended = prepare(kubectl, kubectl.namespace)
        assert ended.returncode == 0
        assert f"operator {system.namespace}/podrelay-operator watches only blog, news" in ended.stderr
        setting = f"--set 'operator.namespaces={{blog,news,{kubectl.namespace}}}'"
        assert (
            f"helm upgrade relay charts/podrelay -n {system.namespace} --reset-then-reuse-values {setting}"
            in ended.stderr
        )

        operator("--namespace=blog", f"--namespace={kubectl.namespace}")
        assert "watches this namespace" in prepare(kubectl, kubectl.namespace).stdout
        operator()
        ended = prepare(kubectl, kubectl.namespace)
        assert f"operator {system.namespace}/podrelay-operator watches all namespaces" in ended.stdout
        assert ended.stderr == ""


def test_an_invalid_name_is_rejected(admin: Kubectl, installed: None) -> None:
    ended = prepare(admin, "Not_A_Name")
    assert ended.returncode == 1
    assert "'Not_A_Name' is not a valid name of a namespace" in ended.stderr
