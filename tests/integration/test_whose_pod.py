"""Signatures of runs, definitions and aborts, and the pods that the operator creates for them.

The operator has its own service account here, with only the permissions of the chart.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from dev.harness.chart import RELEASE_NAMESPACE, render
from dev.harness.kubectl import Kubectl, Result
from dev.harness.manifests import TASK_DEFINITIONS, TASK_RUNS, Manifest, owner_reference, task_definition, task_run
from dev.harness.operator import OperatorProcess
from dev.harness.waiting import eventually
from tests.support import docpages
from tests.support.pods import add_runner, task_pod
from tests.support.quick import QuickKubectl

pytestmark = pytest.mark.integration

CREATED_BY, CHANGED_BY = "podrelay.dev/created-by", "podrelay.dev/changed-by"
WRITTEN_BY = "podrelay.dev/definition-written-by"
OPERATOR = f"system:serviceaccount:{RELEASE_NAMESPACE}:podrelay-operator"
NOWHERE: Manifest = {"nodeSelector": {"example.com/node": "none"}}


def refused(result: Result, words: str) -> None:
    assert not result, f"it was accepted: {result}"
    assert words in result.stderr, result.stderr


def accepted(result: Result) -> None:
    assert result, str(result)


@dataclass(frozen=True)
class Site:
    """A namespace with users."""

    admin: QuickKubectl

    def person(self, name: str, *roles: str) -> QuickKubectl:
        """Return a user with these ClusterRoles."""
        self.admin.do("create", "serviceaccount", name)
        for role in roles:
            user = f"--serviceaccount={self.admin.namespace}:{name}"
            self.admin.do("create", "rolebinding", f"{name}-{role}", f"--clusterrole={role}", user)
        person = QuickKubectl.instead_of(self.admin.as_service_account(name))
        eventually(f"{name} has the rights", lambda: person.create(task_run("probe"), flags=("--dry-run=server",)))
        return person

    def name_of(self, account: str) -> str:
        return f"system:serviceaccount:{self.admin.namespace}:{account}"


@pytest.fixture
def site(kubectl: Kubectl) -> Site:
    quick = QuickKubectl.instead_of(kubectl)
    add_runner(quick)
    return Site(quick)


@contextmanager
def operator(site: Site, folder: Path) -> Iterator[OperatorProcess]:
    """Run an operator with the service account and permissions of the chart. Its Lease is in the test's namespace."""
    admin = site.admin
    user = f"--serviceaccount={RELEASE_NAMESPACE}:podrelay-operator"
    admin.do("create", "role", "lease", "--verb=get,create,update,delete", "--resource=leases.coordination.k8s.io")
    admin.do("create", "rolebinding", "lease", "--role=lease", user)
    token = admin.in_namespace(RELEASE_NAMESPACE).do("create", "token", "podrelay-operator").strip()
    document = json.loads(admin.do("config", "view", "--raw", "--output=json"))
    document["users"] = [{"name": "operator", "user": {"token": token}}]
    (context,) = document["contexts"]
    context["context"]["user"] = "operator"
    path = folder / "operator.kubeconfig"
    path.write_text(json.dumps(document), encoding="utf-8")
    with OperatorProcess(Kubectl(path, admin.env, admin.namespace), folder / "operator") as process:
        yield process


def signed(manifest: Manifest, by: str, annotation: str = CREATED_BY) -> Manifest:
    annotations = manifest["metadata"].get("annotations", {}) | {annotation: by}
    return manifest | {"metadata": manifest["metadata"] | {"annotations": annotations}}


def definition(name: str, **pod: Any) -> Manifest:
    """Return a definition whose pods fit no node."""
    spec = task_definition()["spec"]["template"]["spec"] | NOWHERE
    return task_definition(name, template={"spec": spec | pod}, triggers=["*"])


def people(site: Site, pod: str) -> dict[str, str]:
    """Return the users in the annotations of a pod."""
    eventually(f"pod {pod}", lambda: pod in site.admin.names("pods"))
    annotations = site.admin.get("pods", pod)["metadata"]["annotations"]
    return {key: value for key, value in annotations.items() if key.endswith("-by")}


def test_a_pod_shows_who_created_its_run_and_who_wrote_its_definition(site: Site, tmp_path: Path) -> None:
    author, user = site.person("author", "edit"), site.person("user", "podrelay-user")
    forged = definition("forged")
    forged["spec"]["template"]["metadata"] = {"annotations": {CREATED_BY: "alice", WRITTEN_BY: "alice"}}
    accepted(author.create(forged))
    accepted(author.create(signed(definition("honest"), site.name_of("author"))))
    with operator(site, tmp_path):
        accepted(user.create(task_run("nameless", "forged")))
        accepted(user.create(signed(task_run("named", "honest"), site.name_of("user"))))

        assert people(site, "nameless-i1") == {}, "a template cannot sign"
        own = {CREATED_BY: site.name_of("user"), WRITTEN_BY: site.name_of("author")}
        assert people(site, "named-i1") == own

        # A run that a task starts is not signed, and belongs to the creator of the run at the top.
        parent = site.admin.get(TASK_RUNS, "named")
        owned = {"ownerReferences": [owner_reference(parent)]}
        accepted(site.admin.create(task_run("child", "forged", metadata=owned, parent="named")))
        assert people(site, "child-i1") == {CREATED_BY: site.name_of("user")}


@pytest.fixture
def policy_of_the_site(site: Site) -> Iterator[None]:
    """The policy that docs/threat-model.md shows, with the names of this test, in its namespace only."""
    (block,) = [text for text in docpages.blocks("threat-model.md", "yaml") if "who-may-use-deployer" in text]
    assert f"'{OPERATOR}'" in block
    block = block.replace("who-may-use-deployer", site.admin.namespace).replace("'alice'", f"'{site.name_of('alice')}'")
    policy, binding = yaml.safe_load_all(block)
    only_here = {"matchLabels": {"kubernetes.io/metadata.name": site.admin.namespace}}
    binding["spec"]["matchResources"] = {"namespaceSelector": only_here}
    site.admin.do("create", "-f", "-", stdin=[policy, binding])
    yield
    site.admin.do("delete", "validatingadmissionpolicybinding,validatingadmissionpolicy", site.admin.namespace)


def test_a_policy_of_the_site_knows_for_whom_the_operator_creates_a_pod(
    site: Site, policy_of_the_site: None, tmp_path: Path
) -> None:
    site.admin.do("create", "serviceaccount", "deployer")
    alice, tenant = site.person("alice", "edit"), site.person("tenant", "edit")
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "own"}}
    pod["spec"] = definition("x", serviceAccountName="deployer")["spec"]["template"]["spec"]
    words = f"the service account deployer is not for {site.name_of('tenant')}"
    eventually("the policy in force", lambda: words in tenant.create(pod, flags=("--dry-run=server",)).stderr)
    accepted(alice.create(pod, flags=("--dry-run=server",)))

    own = definition("of-alice", serviceAccountName="deployer")
    accepted(alice.create(signed(own, site.name_of("alice"))))
    accepted(tenant.create(signed(definition("of-tenant", serviceAccountName="deployer"), site.name_of("tenant"))))
    accepted(tenant.create(definition("of-unsigned", serviceAccountName="deployer")))
    with operator(site, tmp_path):
        for name in ("of-alice", "of-tenant", "of-unsigned"):
            accepted(tenant.create(task_run(name, name)))

        def message_of(name: str) -> str:
            message: str = site.admin.get(TASK_RUNS, name)["status"].get("message", "")
            return message

        assert people(site, "of-alice-i1") == {WRITTEN_BY: site.name_of("alice")}
        eventually("the tenant's run shows why", lambda: words in message_of("of-tenant"))
        eventually("the unsigned one as well", lambda: "is not for unsigned definitions" in message_of("of-unsigned"))
        assert set(site.admin.names("pods")) == {"of-alice-i1"}

        # A user who changes a definition of another user becomes its author.
        changed = {"spec": {"template": {"spec": {"hostname": "mine"}}}}
        refused(tenant.patch(TASK_DEFINITIONS, "of-alice", changed), "this TaskDefinition says that")
        by_tenant = changed | {"metadata": {"annotations": {CHANGED_BY: site.name_of("tenant")}}}
        accepted(tenant.patch(TASK_DEFINITIONS, "of-alice", by_tenant))
        accepted(tenant.create(task_run("stolen", "of-alice")))
        eventually("it shows why", lambda: words in message_of("stolen"))


def test_a_change_of_a_signed_definition_must_be_signed(site: Site) -> None:
    author, other = site.person("author", "edit"), site.person("other", "edit")
    accepted(author.create(signed(definition("signed"), site.name_of("author"))))
    accepted(author.create(definition("unsigned")))
    title = {"spec": {"title": "New"}}
    words = (
        f"this TaskDefinition says that {site.name_of('author')} has written it; to change its spec, set the "
        f"annotation podrelay.dev/changed-by to your own name, {site.name_of('other')}"
    )

    def by(name: str | None, patch: Manifest | None = None) -> Manifest:
        return {"metadata": {"annotations": {CHANGED_BY: name}}} | (patch or {})

    own = site.name_of("other")
    refused(other.patch(TASK_DEFINITIONS, "signed", title), words)
    refused(other.apply(definition("signed", hostname="x")), words)
    refused(
        other.patch(TASK_DEFINITIONS, "signed", by(site.name_of("author"), title)), "only be changed to your own name"
    )
    refused(other.patch(TASK_DEFINITIONS, "signed", by("", title)), "only be changed to your own name")
    accepted(author.patch(TASK_DEFINITIONS, "signed", {"spec": {"title": "Mine"}}))
    accepted(other.patch(TASK_DEFINITIONS, "unsigned", title))
    accepted(other.patch(TASK_DEFINITIONS, "signed", by(own, title)))
    accepted(other.patch(TASK_DEFINITIONS, "signed", {"spec": {"title": "Again"}}))
    for name in (None, "", site.name_of("author"), "alice"):
        refused(other.patch(TASK_DEFINITIONS, "signed", by(name)), "only be changed to your own name")
    refused(author.patch(TASK_DEFINITIONS, "signed", title), f"says that {own} has written it")
    accepted(author.patch(TASK_DEFINITIONS, "signed", by(site.name_of("author"), title)))
    accepted(author.patch(TASK_DEFINITIONS, "signed", {"metadata": {"labels": {"team": "words"}}}))
    accepted(site.admin.patch(TASK_DEFINITIONS, "signed", {"spec": {"title": "By an administrator"}}))


# --- aborts -----------------------------------------------------------------------------------------------------------


def test_abort_by_must_be_the_users_own_name(site: Site) -> None:
    user = site.person("user", "podrelay-user")
    for name in ("signed", "unsigned", "put"):
        accepted(user.create(task_run(name)))
    words = f"spec.abort.by must be your own name, {site.name_of('user')}, or absent"

    def abort(name: str, **more: str) -> Result:
        return user.patch(TASK_RUNS, name, {"spec": {"abort": {"message": "wrong file", **more}}})

    refused(abort("signed", by="alice"), words)
    refused(user.create(task_run("born", abort={"by": "alice"})), words)
    refused(user.replace(task_run("put", abort={"by": OPERATOR})), words)
    refused(user.apply(task_run("signed", abort={"by": "alice"})), words)
    accepted(abort("signed", by=site.name_of("user")))
    accepted(abort("unsigned"))
    for name, by in (("signed", "alice"), ("unsigned", site.name_of("user"))):
        refused(user.patch(TASK_RUNS, name, {"spec": {"abort": {"by": by}}}), "spec.abort cannot be changed")
    assert f"By: {site.name_of('user')}" in " ".join(user.do("describe", TASK_RUNS, "signed").split())


def test_a_cascade_passes_on_who_aborted_the_parent(site: Site, tmp_path: Path) -> None:
    user = site.person("user", "podrelay-user")
    accepted(site.admin.create(definition("family")))
    name = site.name_of("user")
    with operator(site, tmp_path):
        accepted(user.create(task_run("parent", "family")))
        people(site, "parent-i1")
        accepted(user.create(signed(task_run("child", "family", parent="parent"), name)))
        people(site, "child-i1")

        accepted(user.patch(TASK_RUNS, "parent", {"spec": {"abort": {"cascade": True, "by": name, "message": "no"}}}))

        eventually("the child is aborted", lambda: site.admin.get(TASK_RUNS, "child")["spec"].get("abort"))
        assert site.admin.get(TASK_RUNS, "child")["spec"]["abort"] == {"cascade": True, "by": name, "message": "no"}
        eventually("both have ended", lambda: is_aborted(site, "child") and is_aborted(site, "parent"))


def is_aborted(site: Site, run: str) -> bool:
    phase = site.admin.get(TASK_RUNS, run)["status"].get("phase")
    return bool(phase == "Aborted")


# --- required signatures ----------------------------------------------------------------------------------------------


@pytest.fixture
def required_signatures(site: Site) -> Iterator[None]:
    """The policies of requireCreatedBy under other names, because other tests use the chart's defaults."""
    wanted = {"podrelay-signed": "signed", "podrelay-aborts": "aborts"}
    objects = [m for m in render({"policies.requireCreatedBy": True}) if m["metadata"]["name"] in wanted]
    assert len(objects) == 4
    only_here = {"matchLabels": {"kubernetes.io/metadata.name": site.admin.namespace}}
    names = {f"{short}-{site.admin.namespace}" for short in wanted.values()}
    for item in objects:
        name = f"{wanted[item['metadata']['name']]}-{site.admin.namespace}"
        item["metadata"] = {"name": name}
        if item["kind"].endswith("Binding"):
            item["spec"] |= {"policyName": name, "matchResources": {"namespaceSelector": only_here}}
    site.admin.do("create", "-f", "-", stdin=objects)
    yield
    site.admin.do("delete", "validatingadmissionpolicybinding,validatingadmissionpolicy", *names)


def test_with_required_signatures_only_tasks_and_administrators_need_not_sign(
    site: Site, required_signatures: None, node: str
) -> None:
    dry = ("--dry-run=server",)
    site.admin.do("create", "serviceaccount", "author")
    site.admin.do(
        "create", "rolebinding", "author", "--clusterrole=edit", f"--serviceaccount={site.admin.namespace}:author"
    )
    author, own = QuickKubectl.instead_of(site.admin.as_service_account("author")), site.name_of("author")
    asked = "this cluster requires signatures: set the annotation podrelay.dev/created-by"
    words = f"{asked} to your own name, {own}"
    eventually("the policy in force", lambda: words in author.create(task_run("probe"), flags=dry).stderr)

    refused(author.create(task_run("unsigned"), flags=dry), words)
    refused(author.apply(task_run("unsigned")), words)
    refused(author.create(definition("unsigned"), flags=dry), words)
    accepted(author.create(signed(task_run("mine"), own)))
    accepted(author.create(signed(definition("mine"), own)))
    accepted(author.patch(TASK_DEFINITIONS, "mine", {"spec": {"title": "New"}}))

    abort = {"spec": {"abort": {"message": "enough"}}}
    refused(author.patch(TASK_RUNS, "mine", abort, *dry), f"set spec.abort.by to your own name, {own}")
    accepted(author.patch(TASK_RUNS, "mine", {"spec": {"abort": {"by": own}}}, *dry))
    accepted(author.patch(TASK_RUNS, "mine", {"spec": {"suspend": True}}))

    # Created before the value was set.
    accepted(site.admin.create(definition("old")))
    accepted(author.patch(TASK_DEFINITIONS, "old", {"metadata": {"labels": {"team": "words"}}}))
    title = {"spec": {"title": "New"}}
    refused(author.patch(TASK_DEFINITIONS, "old", title), "set the annotation podrelay.dev/changed-by to your own")
    accepted(author.patch(TASK_DEFINITIONS, "old", title | {"metadata": {"annotations": {CHANGED_BY: own}}}))

    # Tasks do not sign.
    pod = task_pod(site.admin, "mine-i1", node)
    owned = {"ownerReferences": [owner_reference(site.admin.get(TASK_RUNS, "mine"))]}
    accepted(pod.kubectl.create(task_run("child", metadata=owned, parent="mine"), flags=dry))
    accepted(site.admin.create(task_run("restored"), flags=dry))
