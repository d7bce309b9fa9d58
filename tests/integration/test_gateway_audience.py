"""Tokens for the gateway's audience: only the gateway accepts them, and it acts on behalf of their users."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest
import yaml

from dev.harness import chart
from dev.harness.gateway import GatewayProcess, GraphQL
from dev.harness.kubectl import Kubectl, Manifest
from dev.harness.manifests import TASK_RUNS, task_definition, task_run
from dev.harness.waiting import eventually
from podrelay.api import names
from tests.integration.test_gateway_access import NOT_AUTHORIZED, READS, WRITES, mutate, tasks

pytestmark = pytest.mark.integration

AUDIENCE = "https://tasks.example"
VALUES = {
    "gateway.deploy": True,
    "gateway.behindTLSProxy": True,
    "gateway.audience": AUDIENCE,
}


@dataclass(frozen=True)
class Door:
    """A gateway that accepts only tokens for its audience, with the rights that the chart gives it."""

    gateway: GatewayProcess
    kubectl: Kubectl

    def token(self, name: str, audience: str | None = AUDIENCE) -> str:
        flags = (f"--audience={audience}",) if audience is not None else ()
        return self.kubectl.do("create", "token", name, *flags).strip()

    def user(self, name: str) -> GraphQL:
        return self.gateway.as_token(self.token(name), self.kubectl.namespace)


def rules(namespace: str) -> list[Manifest]:
    """Return the roles that the chart creates for a gateway that may impersonate a namespace's service accounts."""
    values = VALUES | {"gateway.impersonate.serviceAccountNamespaces": [namespace]}
    found = [m for m in chart.render(values) if m["metadata"]["name"].startswith("podrelay-gateway")]
    return [m for m in found if m["kind"] in {"ClusterRole", "Role"}]


@pytest.fixture(scope="module")
def door(shared: Kubectl, admin: Kubectl, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    for name, bound in {
        "gateway": "",
        "operator": "podrelay-user",
        "reader": "podrelay-viewer",
        "outsider": "",
    }.items():
        shared.do("create", "serviceaccount", name)
        if bound:
            subject = f"--serviceaccount={shared.namespace}:{name}"
            shared.do("create", "rolebinding", name, f"--clusterrole={bound}", subject)
    made: list[tuple[str, str]] = []
    own = {"kind": "ServiceAccount", "name": "gateway", "namespace": shared.namespace}
    for role in rules(shared.namespace):
        name = f"gateway-test-{uuid4().hex[:8]}"
        where = {"namespace": role["metadata"]["namespace"]} if role["kind"] == "Role" else {}
        binding: Manifest = {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": f"{role['kind']}Binding",
            "metadata": {"name": name, **where},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": role["kind"], "name": name},
            "subjects": [own],
        }
        own_role: Manifest = role | {"metadata": {"name": name, **where}}
        for manifest in (own_role, binding):
            created = admin.create(manifest)
            assert created, str(created)
            made += [(str(manifest["kind"]), name)] if not where else []
    assert shared.apply(task_definition("count-words"))
    assert shared.create(task_run("theirs"))
    folder = tmp_path_factory.mktemp("audience")
    with GatewayProcess(account(shared, folder), folder / "log", (f"--audience={AUDIENCE}",)) as gateway:
        door = Door(gateway, shared)
        reader = door.user("reader")
        eventually("tasks are seen", lambda: tasks(reader), 60)
        yield door
        assert "Traceback" not in gateway.text, gateway.text
    for kind, name in made:
        admin("delete", kind, name)


def account(kubectl: Kubectl, folder: Path) -> Path:
    """Write a kubeconfig of the gateway's own account; return its path."""
    settings = yaml.safe_load(kubectl.kubeconfig.read_text(encoding="utf-8"))
    settings["users"] = [{"name": "gateway", "user": {"token": kubectl.do("create", "token", "gateway").strip()}}]
    settings["contexts"][0]["context"]["user"] = "gateway"
    path = folder / "gateway.kubeconfig"
    path.write_text(yaml.safe_dump(settings), encoding="utf-8")
    return path


def test_a_token_for_the_gateway_is_useless_at_the_api_server(door: Door) -> None:
    refused = door.kubectl.as_token(door.token("operator"))("get", TASK_RUNS)

    assert not refused
    assert "Unauthorized" in refused.stderr or "must be logged in" in refused.stderr


@pytest.mark.parametrize("audience", [None, "https://other.example"])
def test_the_gateway_refuses_a_token_for_another_audience(door: Door, audience: str | None) -> None:
    token = door.token("operator", audience)

    answer = door.gateway.as_token(token, door.kubectl.namespace).ask(
        f"{{ backgroundTasks {{ {READS['listTasks']} }} }}"
    )

    assert answer.status == 401
    assert AUDIENCE in str(answer.body)


def test_a_reader_reads_and_changes_nothing(door: Door) -> None:
    reader = door.user("reader")

    assert "theirs" in tasks(reader)
    for field in WRITES.values():
        assert mutate(reader, field).refusals == [NOT_AUTHORIZED]


def test_a_user_without_rights_reads_nothing(door: Door) -> None:
    assert door.user("outsider").inside(READS["listTasks"])["listTasks"]["error"]["code"] == NOT_AUTHORIZED


def test_a_run_is_triggered_on_behalf_of_its_user(door: Door) -> None:
    answer = mutate(door.user("operator"), WRITES["triggerTask"])

    ident = answer.data["triggerTask"]["data"]["id"]
    annotations = door.kubectl.get(TASK_RUNS, ident)["metadata"]["annotations"]
    user = f"system:serviceaccount:{door.kubectl.namespace}:operator"
    assert annotations[names.ANNOTATION_CREATED_BY] == user


def test_the_gateway_itself_may_not_do_what_its_callers_may(door: Door) -> None:
    own = door.kubectl.as_service_account("gateway")
    refused = own.create(task_run("its-own"))

    assert not refused
    assert "Forbidden" in refused.stderr or "forbidden" in refused.stderr


@pytest.mark.parametrize(
    "who",
    [
        ("--as=system:serviceaccount:kube-system:generic-garbage-collector",),
        ("--as=alice", "--as-group=system:masters"),
        ("--as=system:admin",),
    ],
)
def test_the_gateway_may_not_impersonate_others_than_the_listed_ones(door: Door, who: tuple[str, ...]) -> None:
    refused = door.kubectl.as_service_account("gateway")("get", "secrets", *who)

    assert not refused
    assert "cannot impersonate" in refused.stderr


def test_a_user_who_may_not_be_impersonated_gets_the_reason(door: Door, admin: Kubectl) -> None:
    elsewhere = admin.in_namespace("default")
    token = elsewhere.do("create", "token", "default", f"--audience={AUDIENCE}").strip()

    answer = door.gateway.as_token(token, door.kubectl.namespace).ask(
        f"{{ backgroundTasks {{ {READS['listTasks']} }} }}"
    )

    assert answer.status == 403
    assert "may not act on your behalf" in str(answer.body)


async def test_a_websocket_accepts_the_same_tokens(door: Door) -> None:
    document = "subscription { backgroundTasks { taskUpdated { task { id } } } }"
    plain = door.gateway.as_token(door.token("operator", None), door.kubectl.namespace)

    async with plain.subscribe(document) as subscription:
        assert subscription.received == []
        assert subscription.socket.close_code == 4403


def test_rights_events_and_changes_are_those_of_the_user(door: Door) -> None:
    reader, operator = door.user("reader"), door.user("operator")
    answer = reader.inside("whoAmI { data { identity { id } permissions { name allowed } } }")["whoAmI"]["data"]
    allowed = {one["name"] for one in answer["permissions"] if one["allowed"]}
    events = '{ backgroundTasks { getTask(id: "theirs") { data { events { id } } } } }'

    assert answer["identity"]["id"] == f"system:serviceaccount:{door.kubectl.namespace}:reader"
    assert {"LIST_TASKS", "PATCH_TASKS", "LIST_EVENTS"} & allowed == {"LIST_TASKS"}
    assert reader.ask(events).error_codes == [NOT_AUTHORIZED]
    account = f"--serviceaccount={door.kubectl.namespace}:reader"
    door.kubectl.do("create", "rolebinding", "reader-view", "--clusterrole=view", account)
    assert reader.ask(events).data["getTask"]["data"]["events"] is not None
    for user, is_ok in ((reader, False), (operator, True)):
        found = mutate(user, 'suspendTasks(ids: ["theirs"]) { data { ok } error { code } }').data["suspendTasks"]
        assert found == {"data": [{"ok": is_ok}], "error": None}
