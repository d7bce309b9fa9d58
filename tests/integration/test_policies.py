"""The admission policies of the chart, line by line, with the identities that they apply to.

Pods are real objects, bound to a node, and their tokens are real tokens bound to them, from the same API that the
kubelet uses. Only the containers are missing.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from dev.harness.kubectl import Kubectl, Result
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
from dev.harness.waiting import eventually
from podrelay.operator.policy_check import NAMES
from tests.support.namespaces import temporary_namespace
from tests.support.payloads import KIB, LIMIT, payload_of
from tests.support.pods import RUNNER, TaskPod, add_runner, task_pod
from tests.support.quick import QuickKubectl

pytestmark = pytest.mark.integration

DRY = ("--dry-run=server",)
NOW = "2026-01-02T03:04:05Z"
MADE_UP_UID = "00000000-0000-0000-0000-000000000000"


def refused(result: Result, policy: str, words: str) -> None:
    assert not result, f"it was accepted: {result}"
    assert f"ValidatingAdmissionPolicy 'podrelay-{policy}'" in result.stderr, result.stderr
    assert words in result.stderr, result.stderr


def accepted(result: Result) -> None:
    assert result, str(result)


@dataclass(frozen=True)
class World:
    """A namespace with two runs, each with a pod."""

    admin: Kubectl
    run: Manifest
    pod: TaskPod
    other_run: Manifest
    other_pod: TaskPod

    def own_record(self, **fields: Any) -> Manifest:
        """Return the record of `pod`."""
        return record(self.pod.name, pod_uid=self.pod.uid, owner=self.run, **fields)

    def child(self, name: str = "child", **spec: Any) -> Manifest:
        """Return a run that `pod` may start."""
        owners = [owner_reference(self.run)]
        return task_run(name, metadata={"ownerReferences": owners}, parent=self.run["metadata"]["name"], **spec)

    def service_account(self, name: str, role: str = "", **rules: str) -> Kubectl:
        """Return a service account outside of any pod, with a ClusterRole, or with verbs on resources."""
        self.admin.do("create", "serviceaccount", name)
        account = f"--serviceaccount={self.admin.namespace}:{name}"
        if role:
            self.admin.do("create", "rolebinding", name, f"--clusterrole={role}", account)
        for resource, verbs in rules.items():
            full = resource if resource == "pods" else f"{resource}.podrelay.dev"
            self.admin.do("create", "role", f"{name}-{resource}", f"--verb={verbs}", f"--resource={full}")
            self.admin.do("create", "rolebinding", f"{name}-{resource}", f"--role={name}-{resource}", account)
        return self.admin.as_service_account(name)


@pytest.fixture(scope="module")
def shared(shared: Kubectl) -> Kubectl:
    """The same over an open connection: rejections and their messages come from the API server."""
    return QuickKubectl.instead_of(shared)


@pytest.fixture(scope="module")
def world(shared: Kubectl, node: str) -> World:
    add_runner(shared)
    # The name of the other run is a prefix of the first one's: it matches the record's name, but is another run.
    accepted(shared.create(task_run("count-words"), task_run("count")))
    return World(
        shared,
        shared.get(TASK_RUNS, "count-words"),
        task_pod(shared, "count-words-i1", node),
        shared.get(TASK_RUNS, "count"),
        task_pod(shared, "count-i1", node),
    )


def test_no_policy_has_a_type_error(admin: Kubectl, installed: None) -> None:
    policies = admin.names("validatingadmissionpolicies", "--selector=app.kubernetes.io/name=podrelay")
    assert sorted(policies) == sorted(NAMES)
    for policy in policies:
        status = admin.get("validatingadmissionpolicy", policy).get("status", {})
        assert "expressionWarnings" not in status.get("typeChecking", {}), status


# --- records --------------------------------------------------------------------------------------------------------


def test_a_pod_writes_its_own_record_and_updates_it(kubectl: Kubectl, node: str) -> None:
    add_runner(kubectl)
    accepted(kubectl.create(task_run("relay")))
    pod = task_pod(kubectl, "relay-i1", node)
    own = record("relay-i1", pod_uid=pod.uid, owner=kubectl.get(TASK_RUNS, "relay"))
    accepted(pod.kubectl.create(own))
    accepted(pod.kubectl.replace(own | {"progress": {"percent": 50}, "checkpoint": {"input": {"cursor": 5}}}))
    accepted(pod.kubectl.replace(own | {"response": {"status": "done"}}))
    second = pod.kubectl.replace(own | {"response": {"status": "error"}})
    assert "response cannot be changed: the first stored response wins" in second.stderr
    assert pod.kubectl.get(TASK_ITERATIONS, "relay-i1")["response"] == {"status": "done"}


@pytest.mark.parametrize("pod_name", ["count-words-i1t2", "count-words-i12", "count-words-hdone"])
def test_a_pod_of_any_kind_writes_its_record(world: World, node: str, pod_name: str) -> None:
    pod = task_pod(world.admin, pod_name, node)
    accepted(pod.kubectl.create(record(pod_name, pod_uid=pod.uid, owner=world.run), flags=DRY))


def test_a_pod_cannot_write_the_record_of_another_pod(world: World) -> None:
    words = "a pod can write only its own record: metadata.name must be count-words-i1"
    foreign = record("count-words-i2", pod_uid=world.pod.uid, owner=world.run)
    refused(world.pod.kubectl.create(foreign, flags=DRY), "records", words)
    foreign = record("count-i1", pod_uid=world.other_pod.uid, owner=world.other_run)
    refused(world.pod.kubectl.create(foreign, flags=DRY), "records", words)


METADATA_RULES: list[tuple[str, Callable[[World], Manifest], str]] = [
    (
        "pod-uid",
        lambda world: {"podUID": world.other_pod.uid},
        "podUID must be the UID of the pod that the token belongs",
    ),
    (
        "run-name",
        lambda _: {"runName": "count"},
        "runName and the label podrelay.dev/run must name the TaskRun of this",
    ),
    ("label", lambda _: {"labels": {"podrelay.dev/run": "count"}}, "runName and the label podrelay.dev/run must name"),
    ("no-label", lambda _: {"labels": {}}, "must name the TaskRun of this pod, count-words"),
    ("no-labels", lambda _: {"labels": None}, "must name the TaskRun of this pod, count-words"),
    ("finalizer", lambda _: {"finalizers": ["example.com/stay"]}, "metadata.finalizers must be empty"),
]
OWNER_WORDS = "metadata.ownerReferences must contain only the TaskRun count-words, without controller and"
OWNERS: list[tuple[str, Callable[[World], list[Manifest] | None]]] = [
    ("none", lambda _: None),
    ("empty", lambda _: []),
    ("another-run", lambda world: [owner_reference(world.other_run)]),
    ("two", lambda world: [owner_reference(world.run), owner_reference(world.other_run)]),
    ("foreign-kind", lambda world: [owner_reference(world.run, kind="TaskDefinition")]),
    ("foreign-group", lambda world: [owner_reference(world.run, apiVersion="tekton.dev/v1")]),
    ("similar-group", lambda world: [owner_reference(world.run, apiVersion="podrelay.dev.example/v1")]),
    ("controller", lambda world: [owner_reference(world.run, controller=True)]),
    ("blocking", lambda world: [owner_reference(world.run, blockOwnerDeletion=True)]),
]


def changed(manifest: Manifest, change: Manifest) -> Manifest:
    """Return the manifest with some top-level or metadata fields changed."""
    metadata = {key: value for key, value in change.items() if key in {"labels", "ownerReferences", "finalizers"}}
    rest = {key: value for key, value in change.items() if key not in metadata}
    return manifest | {"metadata": manifest["metadata"] | metadata} | rest


def refused_each(texts: list[str], policy: str, words: list[str]) -> None:
    for text, expected in zip(texts, words, strict=True):
        assert f"ValidatingAdmissionPolicy 'podrelay-{policy}'" in text
        assert expected in text


def test_a_record_has_the_true_identity_of_its_pod(world: World) -> None:
    manifests = [changed(world.own_record(), change(world)) for _, change, _ in METADATA_RULES]
    refused_each(world.pod.kubectl.refusals(manifests), "records", [words for _, _, words in METADATA_RULES])


def test_a_record_is_owned_by_its_run_and_nothing_else(world: World) -> None:
    manifests = [changed(world.own_record(), {"ownerReferences": owners(world)}) for _, owners in OWNERS]
    refused_each(world.pod.kubectl.refusals(manifests), "records", [OWNER_WORDS] * len(OWNERS))


def test_the_rules_hold_for_updates_too(world: World) -> None:
    accepted(world.pod.kubectl.create(world.own_record()))
    for _, change, words in METADATA_RULES[2:]:
        refused(world.pod.kubectl.replace(changed(world.own_record(), change(world)), flags=DRY), "records", words)
    for _, owners in OWNERS:
        manifest = changed(world.own_record(), {"ownerReferences": owners(world)})
        refused(world.pod.kubectl.replace(manifest, flags=DRY), "records", OWNER_WORDS)
    foreign = world.other_pod.kubectl.replace(world.own_record(response={"status": "done"}), flags=DRY)
    refused(foreign, "records", "a pod can write only its own record: metadata.name must be count-i1")


def test_a_second_pod_of_the_same_name_cannot_touch_the_record_of_the_first(kubectl: Kubectl, node: str) -> None:
    add_runner(kubectl)
    accepted(kubectl.create(task_run("twice")))
    first = task_pod(kubectl, "twice-i1", node)
    own = record("twice-i1", pod_uid=first.uid, owner=kubectl.get(TASK_RUNS, "twice"))
    accepted(first.kubectl.create(own))
    kubectl.do("delete", "pod", "twice-i1", "--force", "--grace-period=0")
    second = task_pod(kubectl, "twice-i1", node)
    refused(
        second.kubectl.replace(own | {"response": {"status": "done"}}), "records", "podUID must be the UID of the pod"
    )
    stolen = second.kubectl.replace(own | {"podUID": second.uid, "response": {"status": "done"}})
    assert "podUID cannot be changed: a record belongs to one pod" in stolen.stderr


def test_a_record_with_a_made_up_owner_is_deleted_immediately(world: World, node: str) -> None:
    pod = task_pod(world.admin, "count-words-i7", node)
    made_up = [owner_reference(world.run, uid=MADE_UP_UID)]
    manifest = changed(record(pod.name, pod_uid=pod.uid, owner=world.run), {"ownerReferences": made_up})
    accepted(pod.kubectl.create(manifest))
    eventually("garbage collection", lambda: "NotFound" in world.admin("get", TASK_ITERATIONS, pod.name).stderr)


def test_a_token_without_a_pod_cannot_write_records(world: World) -> None:
    runner = world.admin.as_service_account(RUNNER)
    words = "a TaskIteration can be written by its own pod only, and this token does not belong to a pod"
    refused(runner.create(world.own_record(), flags=DRY), "records", words)


def test_a_pod_whose_name_has_no_run_cannot_write_records(world: World, node: str) -> None:
    pod = task_pod(world.admin, "lonely", node)
    manifest = record("lonely", pod_uid=pod.uid, owner=world.run)
    manifest |= {"runName": "x"}
    assert not pod.kubectl.create(manifest, flags=DRY)


def test_the_operator_writes_for_a_pod_that_died(world: World, admin: Kubectl) -> None:
    operator = admin.in_namespace("podrelay-system").as_service_account("podrelay-operator")
    operator = operator.in_namespace(world.admin.namespace)
    died = record("count-words-i3", pod_uid="of-a-pod-that-is-gone", owner=world.run)
    accepted(operator.create(died))
    response = {"status": "error", "error": {"message": "OOMKilled"}}
    accepted(operator.patch(TASK_ITERATIONS, "count-words-i3", {"response": response}))
    second = operator.patch(TASK_ITERATIONS, "count-words-i3", {"response": {"status": "done"}})
    assert "response cannot be changed: the first stored response wins" in second.stderr


def test_an_administrator_may_write_records(world: World) -> None:
    accepted(world.admin.create(record("count-words-i4"), flags=DRY))


# --- garbage collection and the policies do not interfere ------------------------------------------------------------


def test_foreground_deletion_and_orphaning_are_not_blocked_by_the_policies(kubectl: Kubectl) -> None:
    accepted(kubectl.create(task_run("whole"), task_run("half"), task_definition("count-words")))
    accepted(kubectl.create(record("whole-i1", owner=kubectl.get(TASK_RUNS, "whole"))))
    accepted(kubectl.create(record("half-i1", owner=kubectl.get(TASK_RUNS, "half"))))
    for kind, name in (
        (TASK_ITERATIONS, "whole-i1"),  # the garbage collector removes its finalizer from the record itself
        (TASK_RUNS, "whole"),
        (TASK_DEFINITIONS, "count-words"),
    ):
        accepted(kubectl("delete", kind, name, "--cascade=foreground", "--timeout=20s"))
    accepted(kubectl("delete", TASK_RUNS, "half", "--cascade=orphan", "--timeout=20s"))
    assert "ownerReferences" not in kubectl.get(TASK_ITERATIONS, "half-i1")["metadata"]


def test_a_namespace_with_all_kinds_in_it_can_be_deleted(admin: Kubectl, installed: None) -> None:
    with temporary_namespace(admin) as inside:
        accepted(inside.create(task_run("words"), task_definition("count-words")))
        accepted(inside.create(record("words-i1", owner=inside.get(TASK_RUNS, "words"))))
        accepted(admin("delete", "namespace", inside.namespace, "--timeout=30s"))


# --- children -------------------------------------------------------------------------------------------------------


def test_a_task_starts_a_child_of_its_own_run(world: World) -> None:
    accepted(world.pod.kubectl.create(world.child(input={"text": "a b"}, delaySeconds=5), flags=DRY))


PARENT_WORDS = "a task can start children of its own run only: spec.parent must be count-words"


def test_a_task_cannot_start_runs_of_another_parent_or_without_a_parent(world: World) -> None:
    foreign = world.child()
    foreign["spec"]["parent"] = "count"
    refused(world.pod.kubectl.create(foreign, flags=DRY), "children", PARENT_WORDS)
    orphan = world.child()
    del orphan["spec"]["parent"]
    refused(world.pod.kubectl.create(orphan, flags=DRY), "children", PARENT_WORDS)
    refused(world.pod.kubectl.create(task_run("plain"), flags=DRY), "children", PARENT_WORDS)


def test_a_child_cannot_be_created_aborted(world: World) -> None:
    refused(
        world.pod.kubectl.create(world.child(abort={}), flags=DRY),
        "children",
        "a task cannot create a run that is aborted already; leave out spec.abort",
    )


def test_a_child_is_owned_by_its_parent_and_nothing_else(world: World) -> None:
    manifests = [changed(world.child(), {"ownerReferences": owners(world)}) for _, owners in OWNERS]
    refused_each(world.pod.kubectl.refusals(manifests), "children", [OWNER_WORDS] * len(OWNERS))


def test_a_child_has_no_finalizers(world: World) -> None:
    manifest = changed(world.child(), {"finalizers": ["example.com/stay"]})
    words = "metadata.finalizers must be empty, because a child is deleted with its parent"
    refused(world.pod.kubectl.create(manifest, flags=DRY), "children", words)


def test_a_workload_with_the_verb_trigger_starts_any_run(world: World, node: str) -> None:
    world.service_account("web", role="podrelay-user")
    web = task_pod(world.admin, "web-7d4b9c-x2x4z", node, "web")
    accepted(web.kubectl.create(task_run("from-the-web"), flags=DRY))


def test_a_workload_without_the_verb_trigger_cannot_start_runs(world: World, node: str) -> None:
    world.service_account("bot", taskruns="create")
    bot = task_pod(world.admin, "bot-7d4b9c-x2x4z", node, "bot")
    words = "spec.parent must be bot-7d4b9c; starting other runs requires the verb trigger on taskruns.podrelay.dev"
    refused(bot.kubectl.create(task_run("from-the-bot"), flags=DRY), "children", words)


def test_a_client_that_is_not_a_pod_needs_no_parent_but_the_verb_trigger(world: World) -> None:
    person = world.service_account("person", taskruns="create,trigger", taskdefinitions="run")
    accepted(person.create(task_run("from-a-person"), flags=DRY))
    other = world.service_account("other-person", taskruns="create", taskdefinitions="run")
    words = "cannot start children; starting runs requires the verb trigger on taskruns.podrelay.dev"
    refused(other.create(task_run("from-another"), flags=DRY), "children", words)


# --- definitions ----------------------------------------------------------------------------------------------------


def test_a_user_who_cannot_create_pods_cannot_write_definitions(world: World) -> None:
    author = world.service_account("author", taskdefinitions="get,create,update,patch")
    words = "a TaskDefinition makes pods, so system:serviceaccount:"
    refused(author.create(task_definition("sneaky"), flags=DRY), "definitions", words)

    accepted(world.admin.create(task_definition("existing")))
    title = {"spec": {"title": "New"}}
    privileged = {"spec": {"template": {"spec": {"hostPID": True}}}}
    for patch in (title, privileged):
        refused(author.patch(TASK_DEFINITIONS, "existing", patch, *DRY), "definitions", words)
    accepted(author("label", TASK_DEFINITIONS, "existing", "team=words", *DRY))


def test_a_user_who_can_create_pods_can_write_definitions(world: World) -> None:
    author = world.service_account("full-author", taskdefinitions="get,create,update,patch", pods="create")
    accepted(author.create(task_definition("honest")))
    accepted(author.patch(TASK_DEFINITIONS, "honest", {"spec": {"title": "New"}}))


def test_permission_to_create_pods_elsewhere_does_not_count(world: World, admin: Kubectl) -> None:
    author = world.service_account("foreign-author", taskdefinitions="create")
    with temporary_namespace(admin) as elsewhere:
        account = f"--serviceaccount={world.admin.namespace}:foreign-author"
        elsewhere.do("create", "rolebinding", "author", "--clusterrole=edit", account)
        accepted(author.in_namespace(elsewhere.namespace).create(task_definition("there"), flags=DRY))
        refused(author.create(task_definition("here"), flags=DRY), "definitions", "needs the right to create pods in")


# --- created-by -----------------------------------------------------------------------------------------------------


def test_created_by_is_the_authenticated_user(world: World) -> None:
    user = world.service_account("user", role="podrelay-user")
    own_name = f"system:serviceaccount:{world.admin.namespace}:user"

    def created_by(name: str) -> Manifest:
        return {"annotations": {"podrelay.dev/created-by": name}}

    accepted(user.create(task_run("signed", metadata=created_by(own_name))))
    accepted(user.create(task_run("unsigned")))
    words = f"the annotation podrelay.dev/created-by must be your own name, {own_name}, or absent"
    refused(user.create(task_run("forged", metadata=created_by("alice"))), "created-by", words)
    refused(user.create(task_run("empty", metadata=created_by(""))), "created-by", words)

    words = "the annotation podrelay.dev/created-by cannot be changed; leave it unchanged"
    for change in ("alice", "", None):
        patch = {"metadata": {"annotations": {"podrelay.dev/created-by": change}}}
        refused(user.patch(TASK_RUNS, "signed", patch), "created-by", words)
    patch = {"metadata": created_by(own_name)}
    refused(user.patch(TASK_RUNS, "unsigned", patch), "created-by", words)
    refused(user.replace(task_run("signed")), "created-by", words)
    accepted(user.patch(TASK_RUNS, "signed", {"spec": {"suspend": True}}))
    accepted(user.patch(TASK_RUNS, "unsigned", {"metadata": {"annotations": {"note": "mine"}}}))


def test_created_by_cannot_be_changed_through_the_status(world: World) -> None:
    accepted(world.admin.create(task_run("by-status")))
    patch = {"metadata": {"annotations": {"podrelay.dev/created-by": "alice"}}, "status": {"message": "hi"}}
    accepted(world.admin.patch(TASK_RUNS, "by-status", patch, "--subresource", "status"))
    assert "annotations" not in world.admin.get(TASK_RUNS, "by-status")["metadata"]


def test_an_administrator_can_restore_runs_of_others(world: World) -> None:
    restored = task_run("restored", metadata={"annotations": {"podrelay.dev/created-by": "alice"}})
    accepted(world.admin.create(restored, flags=DRY))


def test_a_task_signs_its_children_only_with_its_own_name(world: World) -> None:
    manifest = world.child()
    own_name = f"system:serviceaccount:{world.admin.namespace}:{RUNNER}"
    manifest["metadata"]["annotations"] = {"podrelay.dev/created-by": own_name}
    accepted(world.pod.kubectl.create(manifest, flags=DRY))
    manifest["metadata"]["annotations"] = {"podrelay.dev/created-by": "alice"}
    refused(world.pod.kubectl.create(manifest, flags=DRY), "created-by", "must be your own name")


# --- the size of payloads -------------------------------------------------------------------------------------------

CONTENTS: dict[str, dict[str, Any]] = {
    "one-long-text": {},
    "most-keys": {f"key-{number:05}": "value" for number in range(1, 9_999)},
    "short-texts": {"list": ["a"] * 65_000},
    "whole-numbers": {"list": [7] * 130_000},
    "prices": {"list": [12.99] * 43_000},
    "halves": {"list": [0.5] * 65_000},
    "thousandths": {"list": [0.125] * 43_000},
    "objects": {"list": [{"name": "a", "price": 0.5, "stock": None, "sold": True}] * 5_000},
    "small-lists": {"list": [[0.5]] * 43_000},
    "empty-objects": {"list": [{}] * 87_000},
    "deep": {"deep": [[[[[[[[{"deeper": {}}]]]]]]]]},
    "escapes": {"text": '"\\\n\t' * 30_000},
    "umlauts": {"text": "äöü" * 40_000},
    "japanese": {"text": "日本語" * 25_000},
    "emoji": {"text": "🙂" * 60_000},
}


def too_large(path: str, size: int) -> str:
    return f"{path} has {size} bytes as JSON, the limit is 262144 (256 KiB)"


def test_an_input_of_256_kib_is_accepted_with_any_content(world: World) -> None:
    runs = [task_run(name, input=payload_of(LIMIT, **content)) for name, content in CONTENTS.items()]
    accepted(world.admin.create(*runs, flags=DRY))


def test_an_input_with_one_more_byte_is_rejected(world: World) -> None:
    runs = [task_run(name, input=payload_of(LIMIT + 1, **content)) for name, content in CONTENTS.items()]
    words = too_large("spec.input", LIMIT + 1) + "; keep large data in separate storage and pass a reference"
    refused_each(world.admin.refusals(runs), "payloads-of-runs", [words] * len(runs))


@pytest.mark.parametrize("size", [2 * LIMIT, 4 * LIMIT + 200 * KIB])
def test_an_input_far_beyond_the_limit_is_rejected_with_the_same_message(world: World, size: int) -> None:
    larger = world.admin.create(task_run(input=payload_of(size)), flags=DRY)
    refused(
        larger, "payloads-of-runs", "bytes as JSON, the limit is 262144 (256 KiB); keep large data in separate storage"
    )


RECORD_PAYLOADS: dict[str, Callable[[Manifest], Manifest]] = {
    "response.input": lambda payload: {"response": {"status": "continue", "input": payload}},
    "response.output": lambda payload: {"response": {"status": "done", "output": payload}},
    "response.error.data": lambda payload: {
        "response": {"status": "error", "error": {"message": "too much", "data": payload}}
    },
    "checkpoint.input": lambda payload: {"checkpoint": {"input": payload}},
    "checkpoint.output": lambda payload: {"checkpoint": {"output": payload}},
}


@pytest.mark.parametrize("path", RECORD_PAYLOADS)
def test_a_payload_of_a_record_is_limited_for_every_writer(world: World, node: str, path: str) -> None:
    pod = task_pod(world.admin, f"sized-{path.replace('.', '-')}-i1", node)
    run = pod.name.rpartition("-")[0]
    accepted(world.admin.create(task_run(run)))
    own = record(pod.name, pod_uid=pod.uid, owner=world.admin.get(TASK_RUNS, run))
    with_payload = RECORD_PAYLOADS[path]
    words = too_large(path, LIMIT + 1)
    for who in (pod.kubectl, world.admin):
        refused(who.create(own | with_payload(payload_of(LIMIT + 1)), flags=DRY), "payloads-of-records", words)
    accepted(pod.kubectl.create(own))
    refused(pod.kubectl.replace(own | with_payload(payload_of(LIMIT + 1))), "payloads-of-records", words)
    accepted(pod.kubectl.replace(own | with_payload(payload_of(LIMIT))))


def test_the_logs_of_a_record_are_limited(world: World) -> None:
    items = [{"time": NOW, "type": "info", "message": "m" * 8000}] * 33
    refused(
        world.admin.create(record("count-words-i5", logs=items), flags=DRY),
        "payloads-of-records",
        "bytes as JSON, the limit is 262144 (256 KiB)",
    )


def test_a_record_is_limited_as_a_whole(world: World) -> None:
    def with_logs(size: int) -> Manifest:
        logs = [{"time": NOW, "type": "info", "message": "m", "data": payload_of(size)}]
        response = {"status": "continue", "input": payload_of(LIMIT), "output": payload_of(LIMIT)}
        return record("count-words-i6", response=response, logs=logs)

    accepted(world.admin.create(with_logs(180 * KIB), flags=DRY))
    words = (
        "payloads and logs have more than 716800 bytes (700 KiB) together as JSON; keep large data in separate storage"
    )
    refused(world.admin.create(with_logs(190 * KIB), flags=DRY), "payloads-of-records", words)


def test_a_definition_is_limited(world: World) -> None:
    schema = {"type": "object", "properties": {"text": {"type": "string", "maxLength": 5}}}
    template = task_definition()["spec"]["template"]
    words = "; put large files into a ConfigMap or the image"
    for path, content in (("inputSchema", schema), ("template", template)):
        largest: dict[str, Any] = {path: payload_of(LIMIT, **content)}
        too_much: dict[str, Any] = {path: payload_of(LIMIT + 1, **content)}
        accepted(world.admin.create(task_definition(**largest), flags=DRY))
        larger = world.admin.create(task_definition(**too_much), flags=DRY)
        refused(larger, "payloads-of-definitions", too_large(f"spec.{path}", LIMIT + 1) + words)
    accepted(world.admin.create(task_definition("growing")))
    patch = {"spec": {"inputSchema": payload_of(LIMIT + 1)}}
    grown = world.admin("patch", TASK_DEFINITIONS, "growing", "--type=merge", "--patch-file=/dev/stdin", stdin=patch)
    refused(grown, "payloads-of-definitions", too_large("spec.inputSchema", LIMIT + 1))
