"""The operator checks whether the admission policies that it relies on are in force."""

import asyncio
import json
import re
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from dev.cluster import Cluster
from dev.harness.chart import RELEASE_NAMESPACE, render
from dev.harness.kubectl import Kubectl, Manifest
from dev.harness.metrics import samples
from dev.harness.operator import OperatorProcess
from dev.harness.waiting import eventually
from podrelay.kube import config
from podrelay.kube.client import Client
from podrelay.operator.policy_check import NAMES, PolicyCheck
from tests.support.faultproxy import FaultProxy

pytestmark = pytest.mark.integration

POLICY, BINDING = "validatingadmissionpolicy", "validatingadmissionpolicybinding"
BINDINGS = "/validatingadmissionpolicybindings/"


def test_the_names_are_those_of_the_chart() -> None:
    for kind in ("ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"):
        assert sorted(NAMES) == sorted(item["metadata"]["name"] for item in render() if item["kind"] == kind)


# --- a policy of the test, which the API server stores like those of the chart ----------------------------------------


@pytest.fixture
def own(admin: Kubectl) -> Iterator[str]:
    """A policy that rejects nothing, with its binding, otherwise like those of the chart."""
    name = f"in-force-{uuid4().hex[:8]}"
    (policy,) = (m for m in render() if m["kind"] == "ValidatingAdmissionPolicy" and m["metadata"]["name"] == NAMES[0])
    policy["metadata"] = {"name": name}
    policy["spec"]["matchConstraints"]["resourceRules"][0]["apiGroups"] = ["nothing.example"]
    binding = {"apiVersion": policy["apiVersion"], "kind": "ValidatingAdmissionPolicyBinding"}
    binding |= {"metadata": {"name": name}, "spec": {"policyName": name, "validationActions": ["Deny"]}}
    assert admin.create(policy, binding)
    yield name
    admin("delete", f"{BINDING}/{name}", f"{POLICY}/{name}")


def problem(kubeconfig: Path, name: str) -> str | None:
    """Return the problem of a policy, if any."""

    async def look() -> str | None:
        async with Client(config.load(kubeconfig)) as client:
            policies = PolicyCheck(client, [name])
            await policies.check()
            return policies.problem

    return asyncio.run(look())


def test_a_policy_of_the_chart_is_not_a_problem(admin: Kubectl, own: str) -> None:
    assert problem(admin.kubeconfig, own) is None


LABELS = {"matchLabels": {"team": "a"}}
RULE: Manifest = {"apiGroups": ["*"], "apiVersions": ["*"], "operations": ["*"], "resources": ["*"]}


@pytest.mark.parametrize(
    ("kind", "spec", "words"),
    [
        (BINDING, {"validationActions": ["Audit", "Warn"]}, "validationActions ['Audit', 'Warn'], without Deny"),
        (BINDING, {"policyName": "another"}, "the binding is to another"),
        (BINDING, {"matchResources": {"namespaceSelector": LABELS}}, "of the binding has namespaceSelector"),
        (BINDING, {"matchResources": {"objectSelector": LABELS}}, "matchResources of the binding has objectSelector"),
        (BINDING, {"matchResources": {"resourceRules": [RULE]}}, "matchResources of the binding has resourceRules"),
        (BINDING, {"matchResources": {"excludeResourceRules": [RULE]}}, "the binding has excludeResourceRules"),
        (POLICY, {"failurePolicy": "Ignore"}, "failurePolicy is Ignore, not Fail"),
        (
            POLICY,
            {"matchConstraints": {"namespaceSelector": LABELS}},
            "of the policy has namespaceSelector",
        ),
        (POLICY, {"matchConstraints": {"excludeResourceRules": [RULE]}}, "policy has excludeResourceRules"),
    ],
)
def test_a_policy_that_does_not_apply_to_all_clients_is_a_problem(
    admin: Kubectl, own: str, kind: str, spec: Manifest, words: str
) -> None:
    patched = admin.patch(kind, own, {"spec": spec})
    assert patched, str(patched)

    found = problem(admin.kubeconfig, own) or ""

    assert found.startswith(f"admission policies are not in force ({own}: ")
    assert words in found
    assert "--without-policies" in found


@pytest.mark.parametrize("kind", [POLICY, BINDING])
def test_a_missing_policy_is_a_problem(admin: Kubectl, own: str, kind: str) -> None:
    admin.do("delete", kind, own)
    assert "is missing" in (problem(admin.kubeconfig, own) or "")


# --- the operator -----------------------------------------------------------------------------------------------------


@pytest.fixture
def proxy(cluster: Cluster) -> Iterator[FaultProxy]:
    with FaultProxy(cluster.kubeconfig, seed=0, rate=0).serving() as serving:
        yield serving


@pytest.fixture
def behind(proxy: FaultProxy, kubectl: Kubectl, tmp_path: Path) -> Kubectl:
    """kubectl for operators that can use only the proxy."""
    return Kubectl(proxy.kubeconfig(tmp_path), kubectl.env, kubectl.namespace)


def asks(operator: OperatorProcess, path: str) -> Callable[[], tuple[int, str]]:
    """Return a function that sends a request to one of the operator's own addresses."""

    def ask() -> tuple[int, str]:
        address = re.search(r"listen=(\S+)", operator.text)
        assert address is not None
        try:
            with urllib.request.urlopen(f"http://{address[1]}{path}") as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    return ask


def test_an_operator_is_not_ready_until_the_policies_exist(proxy: FaultProxy, behind: Kubectl, tmp_path: Path) -> None:
    proxy.hidden = f"{BINDINGS}podrelay-records"
    with OperatorProcess(behind, tmp_path / "operator") as operator:
        ready, metrics = asks(operator, "/readyz"), asks(operator, "/metrics")
        eventually("it is not ready", lambda: "podrelay-records" in ready()[1])
        assert ready()[0] == 503
        words = "podrelay-records: the ValidatingAdmissionPolicyBinding is missing"
        assert words in ready()[1]
        assert words in operator.text
        assert samples(metrics()[1])["podrelay_policy_problems", frozenset()] == 1

        proxy.hidden = ""

        eventually("it is ready", lambda: ready() == (200, "ok\n"))
        assert "the admission policies are in force" in operator.text
        assert samples(metrics()[1])["podrelay_policy_problems", frozenset()] == 0
        assert operator.text.count(words) == 1, "logged once"


def test_an_operator_without_policies_by_its_flag_is_ready(proxy: FaultProxy, behind: Kubectl, tmp_path: Path) -> None:
    proxy.hidden = "/admissionregistration.k8s.io/"
    with OperatorProcess(behind, tmp_path / "operator", flags=("--without-policies",)) as operator:
        eventually("it is ready", lambda: asks(operator, "/readyz")() == (200, "ok\n"))
        assert "started with --without-policies" in operator.text


def test_an_operator_that_may_not_read_policies_reports_it_and_is_ready(kubectl: Kubectl, tmp_path: Path) -> None:
    account = f"--serviceaccount={kubectl.namespace}:developer"
    kubectl.do("create", "serviceaccount", "developer")
    kubectl.do("create", "rolebinding", "developer", "--clusterrole=podrelay-operator", account)
    kubectl.do("create", "role", "lease", "--verb=get,create,update", "--resource=leases.coordination.k8s.io")
    kubectl.do("create", "rolebinding", "lease", "--role=lease", account)
    few = with_token(kubectl, "developer", tmp_path)
    with OperatorProcess(few, tmp_path / "operator") as operator:
        eventually("it is ready", lambda: asks(operator, "/readyz")() == (200, "ok\n"))
        eventually("it has logged that", lambda: "cannot check whether the chart's admission policies" in operator.text)


def test_the_operators_own_account_may_read_policies(admin: Kubectl, installed: None, tmp_path: Path) -> None:
    account = with_token(admin.in_namespace(RELEASE_NAMESPACE), "podrelay-operator", tmp_path)
    for name in NAMES:
        assert problem(account.kubeconfig, name) is None


def with_token(kubectl: Kubectl, account: str, folder: Path) -> Kubectl:
    """Return kubectl with a kubeconfig that has a service account's token and no other credentials."""
    document = json.loads(kubectl.do("config", "view", "--raw", "--output=json"))
    document["users"] = [{"name": "account", "user": {"token": kubectl.do("create", "token", account).strip()}}]
    (context,) = document["contexts"]
    context["context"]["user"] = "account"
    path = folder / f"{account}.kubeconfig"
    path.write_text(json.dumps(document), encoding="utf-8")
    return Kubectl(path, kubectl.env, kubectl.namespace)
