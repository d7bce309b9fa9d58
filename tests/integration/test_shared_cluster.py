"""Protection by the admission policies in a shared cluster: other namespaces, unbound tokens, authors, users.

Pods are real objects, and their tokens are real tokens bound to them, as in test_policies.py.
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from dev.harness.chart import RELEASE_NAMESPACE, render
from dev.harness.kubectl import Kubectl
from dev.harness.manifests import (
    TASK_DEFINITIONS,
    TASK_ITERATIONS,
    TASK_RUNS,
    Manifest,
    owner_reference,
    record,
    task_definition,
    task_run,
)
from dev.harness.operator import OperatorProcess
from dev.harness.waiting import eventually
from tests.support.namespaces import temporary_namespace
from tests.support.pods import RUNNER, TaskPod, add_runner, task_pod
from tests.support.quick import QuickKubectl, collection

pytestmark = pytest.mark.integration

DRY = ("--dry-run=server",)
CREATED_BY = "podrelay.dev/created-by"


def refused(result: Any, policy: str, words: str) -> None:
    assert not result, f"it was accepted: {result}"
    assert f"ValidatingAdmissionPolicy '{policy}'" in result.stderr, result.stderr
    assert words in result.stderr, result.stderr


def accepted(result: Any) -> None:
    assert result, str(result)


@dataclass(frozen=True)
class Site:
    """A namespace with a run, its pod, and users."""

    admin: Kubectl
    run: Manifest
    pod: TaskPod

    def account(self, name: str, role: str = "", rules: tuple[tuple[str, ...], ...] = ()) -> Kubectl:
        """Return a service account outside of any pod, with a ClusterRole, or with rules of (verbs, resource, name)."""
        self.admin.do("create", "serviceaccount", name)
        account = f"--serviceaccount={self.admin.namespace}:{name}"
        if role:
            self.admin.do("create", "rolebinding", name, f"--clusterrole={role}", account)
        for number, (verbs, resource, *names) in enumerate(rules):
            plural, _, group = resource.partition(".")
            rule: Manifest = {
                "apiGroups": [group],
                "resources": [plural],
                "verbs": verbs.split(","),
                "resourceNames": names,
            }
            accepted(
                self.admin.create(
                    {
                        "apiVersion": "rbac.authorization.k8s.io/v1",
                        "kind": "Role",
                        "metadata": {"name": f"{name}-{number}"},
                        "rules": [rule],
                    }
                )
            )
            self.admin.do("create", "rolebinding", f"{name}-{number}", f"--role={name}-{number}", account)
        return QuickKubectl.instead_of(self.admin.as_service_account(name))

    def name_of(self, account: str) -> str:
        return f"system:serviceaccount:{self.admin.namespace}:{account}"

    def child(self, name: str, created_by: str | None = None) -> Manifest:
        """Return a run that names the run of the site as its parent."""
        annotations = {CREATED_BY: created_by} if created_by else {}
        metadata = {"ownerReferences": [owner_reference(self.run)], "annotations": annotations}
        return task_run(name, metadata=metadata, parent="count-words")


@pytest.fixture(scope="module")
def site(shared: Kubectl, node: str) -> Site:
    quick = QuickKubectl.instead_of(shared)
    add_runner(quick)
    accepted(quick.create(task_run("count-words")))
    return Site(quick, quick.get(TASK_RUNS, "count-words"), task_pod(quick, "count-words-i1", node))


# --- another namespace ----------------------------------------------------------------------------------------------


def test_a_pod_of_another_namespace_cannot_write_records_or_children_here(
    site: Site, admin: Kubectl, node: str
) -> None:
    with temporary_namespace(admin) as elsewhere:
        add_runner(elsewhere)
        # The attacker's own pod has the name of the victim's, and its service account is bound here.
        attacker = task_pod(elsewhere, "count-words-i1", node)
        account = f"--serviceaccount={elsewhere.namespace}:{RUNNER}"
        site.admin.do("create", "rolebinding", "of-a-neighbour", f"--clusterrole={RUNNER}", account)
        here = attacker.kubectl.in_namespace(site.admin.namespace)
        forged = record("count-words-i1", pod_uid=attacker.uid, owner=site.run, response={"status": "done"})
        words = (
            "a pod can write records in its own namespace only: this token belongs to a pod of another namespace, the "
        )
        refused(here.create(forged), "podrelay-records", words + f"record is in {site.admin.namespace}")
        refused(here.create(site.child("foreign")), "podrelay-children", "this token does not belong to a pod of")
        accepted(site.pod.kubectl.create(record("count-words-i1", pod_uid=site.pod.uid, owner=site.run)))
        stolen = [{"op": "add", "path": "/response", "value": {"status": "done"}}]
        for patch in (stolen, {"podUID": attacker.uid}):
            attempt = here.patch(TASK_ITERATIONS, "count-words-i1", patch)
            assert not attempt, "the runner may not patch at all"
        answered = record("count-words-i1", pod_uid=site.pod.uid, owner=site.run, response={"status": "done"})
        refused(here.replace(answered), "podrelay-records", words)
        site.admin.do("delete", "rolebinding", "of-a-neighbour")


# --- tokens without a pod ---------------------------------------------------------------------------------------------


def test_an_unbound_token_of_the_runner_cannot_start_or_write_anything(site: Site) -> None:
    unbound = QuickKubectl.instead_of(site.admin.as_service_account(RUNNER))
    words = "this token does not belong to a pod of the namespace"
    for manifest in (
        task_run("free"),
        site.child("claimed"),
        site.child("signed", created_by=site.name_of(RUNNER)),
        task_run(metadata={"name": None, "generateName": "any-"}),
    ):
        refused(unbound.create(manifest, flags=DRY), "podrelay-children", words)
        if manifest["metadata"].get("name"):
            attempt = unbound.apply(manifest)
            assert not attempt, "the runner may not patch at all"
    own = record("count-words-i1", pod_uid=site.pod.uid, owner=site.run, response={"status": "done"})
    refused(unbound.create(own, flags=DRY), "podrelay-records", "this token does not belong to a pod")


def test_a_token_of_a_secret_or_of_a_node_is_not_a_pod(site: Site) -> None:
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "kubernetes.io/service-account-token",
        "metadata": {"name": "old-token", "annotations": {"kubernetes.io/service-account.name": RUNNER}},
    }
    accepted(site.admin.create(secret))
    bound = ("--bound-object-kind", "Secret", "--bound-object-name", "old-token")
    token = site.admin.do("create", "token", RUNNER, *bound).strip()
    holder = QuickKubectl.instead_of(site.admin.as_token(token))
    refused(holder.create(task_run("free"), flags=DRY), "podrelay-children", "this token does not belong to a pod of")


@pytest.mark.parametrize(
    ("verb", "path"),
    [
        ("PUT", "/count-words"),
        ("PATCH", "/count-words"),
        ("DELETE", "/count-words"),
        ("DELETE", ""),
        ("PUT", "/count-words/status"),
        ("PATCH", "/count-words/status"),
    ],
)
@pytest.mark.parametrize("resource", [TASK_RUNS, TASK_DEFINITIONS, TASK_ITERATIONS])
def test_a_task_pod_has_no_other_verb(site: Site, resource: str, verb: str, path: str) -> None:
    quick = QuickKubectl.instead_of(site.pod.kubectl)
    if (resource, verb, path) == (TASK_ITERATIONS, "PUT", "/count-words"):
        return  # the policy checks PUT requests of pods, see above
    plural = resource.partition(".")[0]
    where = f"/apis/podrelay.dev/v1alpha1/namespaces/{site.admin.namespace}/{plural}{path}"
    attempt = quick.ask(verb, where, task_run("count-words"))
    assert "(Forbidden)" in attempt.stderr or "(NotFound)" in attempt.stderr, str(attempt)


# --- children of others -----------------------------------------------------------------------------------------------


def test_a_child_that_is_not_started_by_a_pod_of_its_parent_must_be_signed(site: Site) -> None:
    user = site.account("user", role="podrelay-user")
    words = (
        "a child that is not created by a pod of its parent must be signed: set the annotation podrelay.dev/created-by"
    )
    refused(user.create(site.child("unsigned"), flags=DRY), "podrelay-parents", words)
    refused(user.apply(site.child("unsigned")), "podrelay-parents", words)
    forged = site.child("forged", created_by="alice")
    refused(user.create(forged, flags=DRY), "podrelay-created-by", "must be your own name")
    accepted(user.create(site.child("signed", created_by=site.name_of("user"))))
    for annotations in ({CREATED_BY: None}, {CREATED_BY: "alice"}):
        patch = {"metadata": {"annotations": annotations}}
        refused(user.patch(TASK_RUNS, "signed", patch), "podrelay-created-by", "cannot be changed")


def test_pods_of_the_parent_and_administrators_need_not_sign(site: Site) -> None:
    accepted(site.pod.kubectl.create(site.child("own"), flags=DRY))
    accepted(site.admin.create(site.child("restored"), flags=DRY))


def test_a_pod_of_another_run_must_sign_even_if_it_may_start_any_run(site: Site, node: str) -> None:
    site.account("web", role="podrelay-user")
    web = task_pod(site.admin, "web-7d4b9c-x2x4z", node, "web")
    refused(web.kubectl.create(site.child("of-the-web"), flags=DRY), "podrelay-parents", site.name_of("web"))
    accepted(web.kubectl.create(site.child("of-the-web", created_by=site.name_of("web")), flags=DRY))


# --- answers of the operator -----------------------------------------------------------------------------------------


def test_only_managers_of_records_can_mark_an_answer_as_the_operators(site: Site, node: str) -> None:
    accepted(site.admin.create(task_run("marked")))
    pod = task_pod(site.admin, "marked-i1", node)
    own = record("marked-i1", pod_uid=pod.uid, owner=site.admin.get(TASK_RUNS, "marked"))
    cause = {"metadata": own["metadata"] | {"annotations": {"podrelay.dev/cause": "Timeout"}}}
    words = "the annotation podrelay.dev/cause marks an answer that the operator wrote for a pod that died"
    refused(pod.kubectl.create(own | cause), "podrelay-records", words)
    accepted(pod.kubectl.create(own))
    refused(pod.kubectl.replace(own | cause), "podrelay-records", words)
    accepted(site.admin.patch(TASK_ITERATIONS, "marked-i1", cause))
    refused(pod.kubectl.replace(own), "podrelay-records", words)
    assert site.admin.get(TASK_ITERATIONS, "marked-i1")["metadata"]["annotations"] == {"podrelay.dev/cause": "Timeout"}


# --- permission to start runs -----------------------------------------------------------------------------------------


def test_a_user_who_may_run_one_definition_cannot_start_another(site: Site) -> None:
    rules = (("create,trigger,patch", "taskruns.podrelay.dev"), ("run", "taskdefinitions.podrelay.dev", "count-words"))
    runner = site.account("reporter", rules=rules)
    accepted(runner.create(task_run("allowed", "count-words"), flags=DRY))
    words = (
        f"{site.name_of('reporter')} may not start runs of the TaskDefinition wipe-disks: this requires the verb run"
    )
    refused(runner.create(task_run("wiped", "wipe-disks"), flags=DRY), "podrelay-runs", words)
    refused(runner.apply(task_run("wiped", "wipe-disks")), "podrelay-runs", words)
    signed = task_run("wiped", "wipe-disks", metadata={"annotations": {CREATED_BY: site.name_of("reporter")}})
    signed["spec"]["parent"] = "count-words"
    refused(runner.create(signed, flags=DRY), "podrelay-runs", words)


def test_permission_to_run_elsewhere_does_not_count(site: Site, admin: Kubectl) -> None:
    with temporary_namespace(admin) as elsewhere:
        site.admin.do("create", "serviceaccount", "traveller")
        account = f"--serviceaccount={site.admin.namespace}:traveller"
        elsewhere.do("create", "rolebinding", "traveller", "--clusterrole=podrelay-user", account)
        traveller = QuickKubectl.instead_of(site.admin.as_service_account("traveller"))
        accepted(traveller.in_namespace(elsewhere.namespace).create(task_run("there"), flags=DRY))
        attempt = traveller.create(task_run("here"), flags=DRY)
        assert "(Forbidden)" in attempt.stderr


# --- authors ----------------------------------------------------------------------------------------------------------


def test_created_by_of_a_definition_must_be_correct(site: Site) -> None:
    author = site.account("author", role="edit")
    eventually("edit includes Podrelay's role", lambda: author.create(task_definition("mine"), flags=DRY))

    def signed(name: str, by: str) -> Manifest:
        definition = task_definition(name)
        definition["metadata"]["annotations"] = {CREATED_BY: by}
        return definition

    refused(author.create(signed("forged", "alice")), "podrelay-created-by", "must be your own name")
    accepted(author.create(signed("honest", site.name_of("author"))))
    patch = {"metadata": {"annotations": {CREATED_BY: "alice"}}}
    refused(author.patch(TASK_DEFINITIONS, "honest", patch), "podrelay-created-by", "cannot be changed")


@pytest.fixture(scope="module")
def strict_accounts(admin: Kubectl, installed: None) -> Any:
    """The policy that requires `use`, under another name, because other tests use the chart's defaults."""
    rendered = render({"policies.useOfServiceAccounts": True})
    objects = [item for item in rendered if item["metadata"]["name"] == "podrelay-definitions"]
    policy, binding = sorted(objects, key=lambda item: len(item["kind"]))
    for item in (policy, binding):
        item["metadata"]["name"] = "strict-accounts"
    binding["spec"]["policyName"] = "strict-accounts"
    return policy, binding


def test_an_author_cannot_use_a_service_account_without_permission(
    site: Site, admin: Kubectl, strict_accounts: Any
) -> None:
    policy, binding = strict_accounts
    only_here = {"matchLabels": {"kubernetes.io/metadata.name": site.admin.namespace}}
    binding["spec"]["matchResources"] = {"namespaceSelector": only_here}
    accepted(admin.create(policy, binding))
    try:
        rules = (("create,patch", "taskdefinitions.podrelay.dev"), ("create", "pods"))
        author = site.account("tenant", rules=rules)
        trusted = site.account("trusted", rules=(*rules, ("use", "serviceaccounts", "deployer")))

        def definition(name: str, **pod: Any) -> Manifest:
            spec = task_definition()["spec"]["template"]["spec"]
            return task_definition(name, template={"spec": spec | pod})

        words = f"{site.name_of('tenant')} needs the verb use on serviceaccounts for deployer in the namespace"
        eventually(
            "the policy in force",
            lambda: not author.create(definition("sneaky", serviceAccountName="deployer"), flags=DRY),
        )
        for field in ("serviceAccountName", "serviceAccount"):
            sneaky = definition("sneaky", **{field: "deployer"})
            refused(author.create(sneaky, flags=DRY), "strict-accounts", words)
            accepted(trusted.create(sneaky, flags=DRY))
        both = definition("sneaky", serviceAccountName="podrelay-runner", serviceAccount="deployer")
        refused(author.create(both, flags=DRY), "strict-accounts", words)
        for account in ("default", "podrelay-runner", ""):
            accepted(author.create(definition("plain", serviceAccountName=account), flags=DRY))
        accepted(author.create(task_definition("bare", template={}), flags=DRY))
        accepted(author.create(definition("grown")))
        patch = {"spec": {"template": {"spec": {"serviceAccountName": "deployer"}}}}
        refused(author.patch(TASK_DEFINITIONS, "grown", patch), "strict-accounts", words)
    finally:
        admin("delete", "validatingadmissionpolicybinding/strict-accounts", "validatingadmissionpolicy/strict-accounts")


# --- the operator's own account ---------------------------------------------------------------------------------------


def pod_of(run: Manifest, name: str, **metadata: Any) -> Manifest:
    """Return a pod as the operator creates it, optionally with other metadata."""
    own = {
        "name": name,
        "labels": {"podrelay.dev/run": run["metadata"]["name"]},
        "ownerReferences": [owner_reference(run, controller=True)],
    }
    container = {"name": "task", "image": "registry.example/words:1"}
    # It must not fit any node, because nothing would end it there.
    spec = {"containers": [container], "schedulingGates": [{"name": "example.com/never"}]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": own | metadata, "spec": spec}


@pytest.fixture(scope="module")
def operator(site: Site, admin: Kubectl) -> Kubectl:
    account = admin.in_namespace(RELEASE_NAMESPACE).as_service_account("podrelay-operator")
    return QuickKubectl.instead_of(account.in_namespace(site.admin.namespace))


def test_the_operator_creates_only_pods_of_task_runs(site: Site, operator: Kubectl) -> None:
    accepted(operator.create(pod_of(site.run, "count-words-i2"), flags=DRY))
    words = (
        "the operator may create a pod only for the TaskRun that controls it and that its label podrelay.dev/run names"
    )
    made: list[Manifest] = [
        pod_of(site.run, "free", ownerReferences=[]),
        pod_of(site.run, "free", labels={}),
        pod_of(site.run, "free", labels={"podrelay.dev/run": "another"}),
        pod_of(site.run, "free", ownerReferences=[owner_reference(site.run)]),
        pod_of(site.run, "free", ownerReferences=[owner_reference(site.run, kind="Job", controller=True)]),
        pod_of(site.run, "free", ownerReferences=[owner_reference(site.run, apiVersion="x.dev/v1", controller=True)]),
    ]
    for manifest in made:
        refused(operator.create(manifest), "podrelay-operator", words)


def test_the_operator_creates_no_pod_in_an_unprepared_namespace(site: Site, operator: Kubectl, admin: Kubectl) -> None:
    words = "the operator may not create pods in the namespaces of Kubernetes itself"
    privileged = pod_of(site.run, "root")
    privileged["spec"]["containers"][0]["securityContext"] = {"privileged": True}
    refused(operator.in_namespace("kube-system").create(privileged), "podrelay-operator", words)
    with temporary_namespace(admin) as elsewhere:
        uninvited = operator.in_namespace(elsewhere.namespace).create(pod_of(site.run, "here"))
        words = "tasks run only in namespaces that are prepared for them: use podrelay namespace prepare "
        refused(uninvited, "podrelay-operator", words + elsewhere.namespace)


def test_the_operator_changes_and_deletes_only_pods_of_task_runs(site: Site, operator: Kubectl) -> None:
    accepted(site.admin.create(pod_of(site.run, "foreign", labels={}, ownerReferences=[])))
    words = "the operator may change and delete pods of TaskRuns only, and nothing marks this pod as one"
    for patch in (
        {"spec": {"activeDeadlineSeconds": 1}},
        {"metadata": {"labels": {"podrelay.dev/run": "count-words"}}},
        {"metadata": {"ownerReferences": [owner_reference(site.run, controller=True)]}},
    ):
        refused(operator.patch("pods", "foreign", patch), "podrelay-operator", words)
    path = f"/api/v1/namespaces/{site.admin.namespace}/pods"
    assert isinstance(operator, QuickKubectl)
    refused(operator.ask("DELETE", f"{path}/foreign"), "podrelay-operator", words)
    lost: dict[str, Manifest] = {"mine": {}, "unlabelled": {"labels": {}}, "disowned": {"ownerReferences": []}}
    for name, metadata in lost.items():
        accepted(site.admin.create(pod_of(site.run, name, **metadata)))
        accepted(operator.patch("pods", name, {"spec": {"activeDeadlineSeconds": 60}}))
        accepted(operator.ask("DELETE", f"{path}/{name}"))
    for sub in ("exec", "attach", "ephemeralcontainers", "eviction", "binding", "status", "proxy", "portforward"):
        attempt = operator.ask("POST", f"{path}/foreign/{sub}", {})
        assert not attempt
        assert "(Forbidden)" in attempt.stderr or "(MethodNotAllowed)" in attempt.stderr, str(attempt)


# --- without the policies, or with permission to bypass them ----------------------------------------------------------


def test_the_operator_ignores_an_answer_of_a_pod_that_the_run_never_had(kubectl: Kubectl, tmp_path: Path) -> None:
    quick = QuickKubectl.instead_of(kubectl)
    add_runner(quick)
    nowhere = task_definition()["spec"]["template"]["spec"] | {"nodeSelector": {"example.com/node": "none"}}
    accepted(quick.create(task_definition("count-words", template={"spec": nowhere})))
    with OperatorProcess(kubectl, tmp_path / "operator"):
        accepted(quick.create(task_run("waits", delaySeconds=3600)))
        accepted(quick.create(task_run("works")))
        eventually("the pod is made", lambda: quick.names("pods") == ["works-i1"])

        def forge(name: str) -> None:
            # A client with the verb `manage` bypasses the policies, like all clients in a cluster without them.
            owner, answer = quick.get(TASK_RUNS, name), {"status": "done", "output": {"forged": True}}
            accepted(quick.create(record(f"{name}-i1", pod_uid="of-a-neighbour", owner=owner, response=answer)))

        def status(name: str) -> Manifest:
            found: Manifest = quick.get(TASK_RUNS, name)["status"]
            return found

        def is_reported(name: str) -> bool:
            return bool(status(name).get("reason") == "ForeignRecord")

        for name in ("waits", "works"):
            forge(name)
            eventually("it is reported", partial(is_reported, name))
            assert "the UID of-a-neighbour, which this run has never had" in status(name)["message"]
            assert "output" not in status(name)
            accepted(quick.ask("DELETE", f"{collection(TASK_ITERATIONS, quick.namespace)}/{name}-i1"))
        eventually("one waits as before", lambda: status("waits").get("reason") == "Delayed")
        eventually(
            "the other has its pod", lambda: status("works").get("reason") in {"IterationRunning", "Unschedulable"}
        )
        assert quick.names("pods") == ["works-i1"]
