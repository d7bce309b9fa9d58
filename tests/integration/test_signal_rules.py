"""Who may send a TaskSignal, and in whose name: real tokens against the real authorizer and the policies."""

from typing import Any

import pytest

from dev.harness.kubectl import Kubectl
from dev.harness.manifests import TASK_RUNS, task_run
from podrelay.api import names
from tests.support.quick import DRY_RUN, QuickKubectl
from tests.support.signals import TASK_SIGNALS, task_signal

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def admin_here(shared: Kubectl) -> QuickKubectl:
    return QuickKubectl.instead_of(shared)


def account(shared: Kubectl, name: str, *flags: str) -> QuickKubectl:
    shared.do("create", "serviceaccount", name)
    if flags:
        shared.do("create", "rolebinding", name, *flags, f"--serviceaccount={shared.namespace}:{name}")
    return QuickKubectl.instead_of(shared.as_service_account(name))


@pytest.fixture(scope="module")
def user(shared: Kubectl) -> QuickKubectl:
    return account(shared, "anna", "--clusterrole=podrelay-user")


@pytest.fixture(scope="module")
def approver(shared: Kubectl) -> QuickKubectl:
    return account(shared, "bob", "--clusterrole=podrelay-approver")


@pytest.fixture(scope="module")
def viewer(shared: Kubectl) -> QuickKubectl:
    return account(shared, "carl", "--clusterrole=podrelay-viewer")


@pytest.fixture(scope="module")
def task_pod(shared: Kubectl) -> QuickKubectl:
    """An account of task pods."""
    return account(shared, "runner", "--clusterrole=podrelay-runner")


def name_of(actor: QuickKubectl, account: str) -> str:
    return f"system:serviceaccount:{actor.namespace}:{account}"


@pytest.mark.parametrize("actor", ["viewer", "task_pod"])
def test_a_signal_needs_the_right_to_create_signals(actor: str, request: pytest.FixtureRequest) -> None:
    refused = request.getfixturevalue(actor).create(task_signal("s", "order", "payment"))
    assert 'cannot create resource "tasksignals"' in str(refused)


@pytest.mark.parametrize("actor", ["user", "approver", "admin_here"])
def test_who_may_send_signals_can_send_them(actor: str, request: pytest.FixtureRequest) -> None:
    created = request.getfixturevalue(actor).create(task_signal("s", "order", "payment"), flags=(DRY_RUN,))
    assert created, str(created)


@pytest.mark.parametrize("actor", ["user", "admin_here"])
def test_a_user_cannot_send_a_signal_in_the_name_of_another_user(actor: str, request: pytest.FixtureRequest) -> None:
    forged = task_signal("s", "order", "payment", sender="alice")
    refused = request.getfixturevalue(actor).create(forged, flags=(DRY_RUN,))
    assert not refused
    assert "must be your own name" in str(refused)


@pytest.mark.parametrize("groups", [["system:masters"], ["system:authenticated", "ops"]])
def test_a_user_cannot_claim_a_group(user: QuickKubectl, groups: list[str]) -> None:
    sender = name_of(user, "anna")
    forged = task_signal("s", "order", "release", sender=sender, decision="Approve", groups=groups)
    refused = user.create(forged, flags=(DRY_RUN,))
    assert "only your own groups" in str(refused)


def test_own_groups_can_be_named(user: QuickKubectl) -> None:
    groups = ["system:authenticated", f"system:serviceaccounts:{user.namespace}"]
    signal = task_signal("s", "order", "release", sender=name_of(user, "anna"), decision="Approve", groups=groups)
    created = user.create(signal, flags=(DRY_RUN,))
    assert created, str(created)


RESTORED = {names.ANNOTATION_CREATED_BY: "alice", names.ANNOTATION_SENT_AT: "2026-03-01T12:00:00Z"}


def restored(annotations: dict[str, str]) -> dict[str, Any]:
    signal = task_signal("s", "order", "release", decision="Approve", groups=["ops"])
    return {**signal, "metadata": {**signal["metadata"], "annotations": annotations}}


def test_only_who_restores_backups_can_create_signals_of_others_and_has_to_say_so(
    user: QuickKubectl, admin_here: QuickKubectl, shared: Kubectl
) -> None:
    restorer = account(shared, "restorer", "--clusterrole=podrelay-restore")
    own = name_of(restorer, "restorer")
    created = restorer.create(restored({**RESTORED, names.ANNOTATION_RESTORED_BY: own}), flags=(DRY_RUN,))
    assert created, str(created)

    for annotations, message in (
        (RESTORED, "sent-at must be absent"),
        ({names.ANNOTATION_CREATED_BY: "alice"}, "must be your own name"),
        ({**RESTORED, names.ANNOTATION_RESTORED_BY: "kubernetes-super-admin"}, "needs the verb manage"),
        ({**RESTORED, names.ANNOTATION_RESTORED_BY: own, names.ANNOTATION_SENT_AT: "yesterday"}, "a time such as"),
    ):
        assert message in str(restorer.create(restored(annotations), flags=(DRY_RUN,))), annotations
    as_user = restored({**RESTORED, names.ANNOTATION_RESTORED_BY: name_of(user, "anna")})
    assert "needs the verb manage" in str(user.create(as_user, flags=(DRY_RUN,)))
    assert "needs the verb manage" in str(
        admin_here.create(restored({**RESTORED, names.ANNOTATION_RESTORED_BY: own}), flags=(DRY_RUN,))
    )


def test_it_cannot_be_changed_afterwards_who_has_restored_a_signal(admin_here: QuickKubectl) -> None:
    assert admin_here.create(task_signal("sent", "order", "payment"))
    for annotation in (names.ANNOTATION_RESTORED_BY, names.ANNOTATION_SENT_AT):
        patch = {"metadata": {"annotations": {annotation: "2026-03-01T12:00:00Z"}}}
        assert "cannot be changed" in str(admin_here.patch(TASK_SIGNALS, "sent", patch))


def test_a_decision_must_be_signed(user: QuickKubectl) -> None:
    refused = user.create(task_signal("s", "order", "release", decision="Approve"), flags=(DRY_RUN,))
    assert "a decision must be signed" in str(refused)


def test_a_signal_cannot_be_changed_by_users_or_by_anybody(user: QuickKubectl, admin_here: QuickKubectl) -> None:
    assert user.create(task_signal("fixed", "order", "payment", payload={"amount": 1}, sender=name_of(user, "anna")))
    refused = user.patch(TASK_SIGNALS, "fixed", {"spec": {"payload": {"amount": 2}}})
    assert "cannot patch resource" in str(refused)
    for change in ({"payload": {"amount": 2}}, {"payload": None}, {"taskRun": "other"}, {"groups": ["x"]}):
        refused = admin_here.patch(TASK_SIGNALS, "fixed", {"spec": change})
        assert "spec cannot be changed" in str(refused), change
    signature = {"metadata": {"annotations": {names.ANNOTATION_CREATED_BY: "kubernetes-super-admin"}}}
    assert "cannot be changed" in str(admin_here.patch(TASK_SIGNALS, "fixed", signature))


def test_users_cannot_write_the_status_of_a_signal(user: QuickKubectl) -> None:
    signal = {**task_signal("status", "order", "payment"), "status": {"phase": "Consumed"}}
    assert user.create(signal)
    assert user.get(TASK_SIGNALS, "status")["status"] == {"phase": "Pending"}
    refused = user.patch(TASK_SIGNALS, "status", {"status": {"phase": "Rejected"}}, "--subresource", "status")
    assert not refused


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({"finalizers": ["example.com/hold"]}, "metadata.finalizers must be empty"),
        (
            {"ownerReferences": [{"apiVersion": "v1", "kind": "ConfigMap", "name": "order", "uid": "1"}]},
            "metadata.ownerReferences must be empty",
        ),
    ],
)
def test_a_signal_cannot_outlive_its_run(user: QuickKubectl, metadata: dict[str, Any], message: str) -> None:
    signal = task_signal("s", "order", "payment")
    refused = user.create({**signal, "metadata": {**signal["metadata"], **metadata}}, flags=(DRY_RUN,))
    assert message in str(refused)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"signal": "with space"}, "spec.signal"),
        ({"signal": ""}, "spec.signal"),
        ({"taskRun": "Not_A_Name"}, "spec.taskRun"),
        ({"payload": {"text": "x" * 70_000}}, "64 KiB"),
        ({"payload": ["no object"]}, "spec.payload"),
        ({"decision": "Maybe"}, "spec.decision"),
    ],
    ids=str,
)
def test_an_invalid_signal_is_refused(admin_here: QuickKubectl, spec: dict[str, Any], message: str) -> None:
    signal = task_signal("s", "order", "payment")
    refused = admin_here.create({**signal, "spec": {**signal["spec"], **spec}}, flags=(DRY_RUN,))
    assert not refused
    assert message in str(refused)


def test_an_approver_can_read_runs_but_not_start_or_change_them(
    approver: QuickKubectl, admin_here: QuickKubectl
) -> None:
    assert admin_here.create(task_run("order", "shop"))
    assert approver.get(TASK_RUNS, "order")
    assert not approver.create(task_run("other", "shop"))
    assert not approver.patch(TASK_RUNS, "order", {"spec": {"suspend": True}})
