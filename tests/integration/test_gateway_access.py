"""Access through the gateway: RBAC on every field, separate namespaces, and revoked rights."""

import asyncio
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

import aiohttp
import pytest

from dev.harness.gateway import GatewayProcess, GraphQL, Subscription
from dev.harness.kubectl import Kubectl
from dev.harness.manifests import TASK_RUNS, record, task_definition, task_run
from dev.harness.metrics import growth
from dev.harness.waiting import eventually
from tests.support.namespaces import temporary_namespace

pytestmark = pytest.mark.integration

NOT_AUTHORIZED = "BackgroundTasks/NotAuthorized"
READS = {
    "listTasks": "listTasks { data { id } error { code message } }",
    "getTask": 'getTask(id: "theirs") { data { id } error { code message } }',
    "listLogs": "listLogs { data { id } error { code message } }",
    "listDefinitions": "listDefinitions { data { id } error { code message } }",
    "statistics": "statistics { data { total } error { code message } }",
    "podLogs": 'podLogs(id: "theirs") { data error { code message } }',
    "getSettings": "getSettings { data { retentionDays } error { code message } }",
}
WRITES = {
    "triggerTask": 'triggerTask(definition: "countWords") { data { id } error { code message } }',
    "rerunTask": 'rerunTask(id: "theirs") { data { id } error { code message } }',
    "abortTask": 'abortTask(id: "theirs") { data { id } error { code message } }',
    "suspendTask": 'suspendTask(id: "theirs") { data { id } error { code message } }',
    "deleteTask": 'deleteTask(id: "theirs") { data error { code message } }',
    "updateSettings": "updateSettings(input: {retentionDays: 3}) { data { retentionDays } error { code message } }",
}


@dataclass(frozen=True)
class Town:
    """Two namespaces, and users with rights in the first one, in both, or in none."""

    gateway: GatewayProcess
    here: Kubectl
    there: Kubectl
    tokens: dict[str, str]

    def user(self, role: str, namespace: str | None = None) -> GraphQL:
        return self.gateway.as_token(self.tokens[role], namespace or self.here.namespace)


@pytest.fixture(scope="module")
def town(shared: Kubectl, admin: Kubectl, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    tokens: dict[str, str] = {}
    cluster_binding = f"gateway-test-{uuid4().hex[:8]}"
    with temporary_namespace(admin) as there:
        for user, role in {
            "operator": "podrelay-user",
            "reader": "podrelay-viewer",
            "outsider": "",
            "mayor": "",
        }.items():
            tokens[user] = add_user(shared, user, role)
        mayor = f"--serviceaccount={shared.namespace}:mayor"
        admin.do("create", "clusterrolebinding", cluster_binding, "--clusterrole=cluster-admin", mayor)
        for place in (shared, there):
            assert place.apply(task_definition("count-words"))
            assert place.create(task_run("theirs"))
            assert place.create(record("theirs-i1", owner=place.get(TASK_RUNS, "theirs")))
        folder = tmp_path_factory.mktemp("gateway")
        with GatewayProcess(admin.kubeconfig, folder, ("--metrics-listen=127.0.0.1:0",)) as gateway:
            town = Town(gateway, shared, there, tokens)
            for namespace in (shared.namespace, there.namespace):
                wait_for_tasks(town.user("mayor", namespace))
            yield town
            assert "Traceback" not in gateway.text, gateway.text
            for token in tokens.values():
                assert token not in gateway.text
        admin("delete", "clusterrolebinding", cluster_binding)


def add_user(kubectl: Kubectl, name: str, role: str) -> str:
    """Create a service account and bind it to a role in its namespace, unless the role is empty; return its token."""
    kubectl.do("create", "serviceaccount", name)
    if role:
        account = f"--serviceaccount={kubectl.namespace}:{name}"
        kubectl.do("create", "rolebinding", name, f"--clusterrole={role}", account)
    return kubectl.do("create", "token", name).strip()


def wait_for_tasks(user: GraphQL) -> None:
    eventually("tasks are seen", lambda: tasks(user))


def tasks(user: GraphQL) -> list[str]:
    return [task["id"] for task in user.inside(READS["listTasks"])["listTasks"]["data"] or []]


def mutate(user: GraphQL, fields: str) -> Any:
    return user.ask(f"mutation {{ backgroundTasks {{ {fields} }} }}")


def test_a_token_that_is_too_long_is_refused_and_not_logged(town: Town) -> None:
    answer = town.gateway.as_token("secret" * 2000).ask("{ __typename }")

    assert answer.status == 400
    assert "secret" not in town.gateway.text


@pytest.mark.parametrize("token", [None, "", "not a token"])
def test_without_a_token_nothing_is_revealed(town: Town, token: str | None) -> None:
    answer = town.gateway.as_token(token, town.here.namespace).ask("{ __typename }")

    assert answer.status == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert answer.error_codes == ["BackgroundTasks/NotAuthenticated"]


def test_a_token_that_the_cluster_does_not_know_is_refused(town: Town) -> None:
    answer = town.gateway.as_token("eyJhbGciOiJub25lIn0.e30.x", town.here.namespace).ask("{ __typename }")

    assert (answer.status, answer.error_codes) == (401, ["BackgroundTasks/NotAuthenticated"])


@pytest.mark.parametrize("field", READS)
def test_a_user_without_rights_reads_nothing_and_does_not_learn_what_exists(town: Town, field: str) -> None:
    there = town.user("outsider").inside(READS[field])[field]
    missing = town.user("outsider").inside(READS[field].replace("theirs", "missing"))[field]

    assert there["data"] is None
    assert there["error"]["code"] == NOT_AUTHORIZED
    assert there == missing


@pytest.mark.parametrize("field", WRITES)
@pytest.mark.parametrize("role", ["outsider", "reader"])
def test_a_refused_write_does_not_reveal_whether_the_task_exists(town: Town, role: str, field: str) -> None:
    there = mutate(town.user(role), WRITES[field])
    missing = mutate(town.user(role), WRITES[field].replace("theirs", "missing"))

    assert there.status == 200
    assert there.refusals == missing.refusals == [NOT_AUTHORIZED]
    words = [answer.data[field]["error"]["message"] for answer in (there, missing)]
    assert words[0] == words[1].replace("missing", "theirs")


def test_a_reader_reads(town: Town) -> None:
    reader = town.user("reader")

    assert tasks(reader) == ["theirs"]
    assert reader.inside("listLogs { data { id items { message } task { id } } }")["listLogs"]["data"] == [
        {"id": "theirs-i1", "items": [], "task": {"id": "theirs"}}
    ]
    assert reader.inside(READS["podLogs"])["podLogs"]["error"] is None  # the task has no pod yet
    assert reader.inside(READS["getSettings"])["getSettings"]["data"] == {"retentionDays": 90}


def test_settings_need_a_separate_right(town: Town, kubectl: Kubectl) -> None:
    treasurer = town.gateway.as_token(add_user(kubectl, "treasurer", "podrelay-settings"), kubectl.namespace)
    unset = WRITES["updateSettings"].replace("3", "null")

    for wanted, days in ((unset, 90), (WRITES["updateSettings"], 3), (unset, 90)):
        changed = mutate(treasurer, wanted).data["updateSettings"]
        assert changed == {"data": {"retentionDays": days}, "error": None}
        assert treasurer.inside(READS["getSettings"])["getSettings"]["data"] == {"retentionDays": days}
    assert mutate(treasurer, WRITES["triggerTask"]).refusals == [NOT_AUTHORIZED]
    assert not kubectl.as_service_account("treasurer")("get", "configmap", "kube-root-ca.crt")
    assert mutate(town.user("operator"), WRITES["updateSettings"]).refusals == [NOT_AUTHORIZED]


def test_an_operator_of_one_namespace_works_there_only(town: Town) -> None:
    here, there = town.user("operator"), town.user("operator", town.there.namespace)

    started = mutate(here, WRITES["triggerTask"]).data["triggerTask"]["data"]["id"]
    assert mutate(here, f'deleteTask(id: "{started}") {{ data }}').data["deleteTask"]["data"] is True
    assert mutate(there, WRITES["triggerTask"]).refusals == [NOT_AUTHORIZED]
    assert there.inside(READS["listTasks"])["listTasks"]["error"]["code"] == NOT_AUTHORIZED


def test_a_namespace_never_shows_another_one(town: Town) -> None:
    assert town.there.create(task_run("only-there"))
    eventually("it is seen there", lambda: "only-there" in tasks(town.user("mayor", town.there.namespace)))

    assert "only-there" not in tasks(town.user("mayor"))
    for ident in ("only-there", f"{town.there.namespace}/only-there"):
        found = town.user("mayor").inside(f'getTask(id: "{ident}") {{ data {{ id }} error {{ code }} }}')
        assert found["getTask"]["data"] is None


def test_all_namespaces_need_rights_in_all_of_them(town: Town) -> None:
    fields = 'listTasks(where: {id: "theirs"}) { data { id namespace } }'
    both = town.user("mayor", "*").inside(fields)["listTasks"]["data"]
    one = town.user("operator", "*").inside(READS["listTasks"])["listTasks"]

    expected = {(f"{place}/theirs", place) for place in (town.here.namespace, town.there.namespace)}
    assert {(task["id"], task["namespace"]) for task in both} >= expected
    assert one["error"]["code"] == NOT_AUTHORIZED


def test_the_path_may_name_the_namespace(town: Town) -> None:
    elsewhere = town.user("mayor", "kube-system")
    user = replace(elsewhere, namespace=None)
    body = b'{"query": "{ backgroundTasks { listTasks { data { id namespace } } } }"}'

    found = user.post(body, f"/graphql/{town.here.namespace}").data["listTasks"]["data"]
    assert {task["namespace"] for task in found} == {town.here.namespace}
    assert user.post(body, "/graphql/Not_A_Name").status == 400
    assert elsewhere.post(body, f"/graphql/{town.here.namespace}").status == 400


def test_created_by_is_the_user_and_cannot_be_forged(town: Town) -> None:
    name = mutate(town.user("operator"), WRITES["triggerTask"]).data["triggerTask"]["data"]["id"]
    annotations = {"podrelay.dev/created-by": "system:serviceaccount:kube-system:root"}
    run = task_run("forged", metadata={"annotations": annotations})
    forged = town.here.as_token(town.tokens["operator"]).create(run)

    stored = town.here.get(TASK_RUNS, name)["metadata"]["annotations"]
    assert stored == {"podrelay.dev/created-by": f"system:serviceaccount:{town.here.namespace}:operator"}
    assert not forged
    assert "podrelay-created-by" in forged.stderr
    town.here.do("delete", TASK_RUNS, name)


@pytest.mark.parametrize(
    ("method", "headers", "status"),
    [
        ("GET", {}, 405),
        ("PUT", {}, 405),
        ("POST", {"Content-Type": "text/plain"}, 415),
        ("POST", {"Content-Type": "application/x-www-form-urlencoded"}, 415),
        ("POST", {"Content-Type": "multipart/form-data; boundary=x"}, 415),
    ],
)
def test_requests_that_a_page_of_another_site_could_send_are_refused(
    town: Town, method: str, headers: dict[str, str], status: int
) -> None:
    body = None if method == "GET" else b'{"query": "{ __typename }"}'
    answer = town.user("mayor").post(body, "/graphql?query=%7B__typename%7D", method, headers)

    assert answer.status == status
    assert "Access-Control-Allow-Origin" not in answer.headers


async def test_a_websocket_of_another_site_or_without_a_token_is_refused(town: Town) -> None:
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            await session.ws_connect(
                f"http://{town.gateway.address}/graphql",
                protocols=["graphql-transport-ws"],
                headers={"Origin": "https://evil.example"},
            )
    assert caught.value.status == 403
    async with town.gateway.as_token(None).subscribe("subscription { taskUpdated { id } }") as subscription:
        assert subscription.received == []
        assert subscription.socket.close_code == 4403


# --- subscriptions ----------------------------------------------------------------------------------------------------


async def test_a_subscription_sees_its_namespace_only(town: Town) -> None:
    document = "subscription { taskUpdated { type id task { namespace } } }"
    async with town.user("reader").subscribe(document) as subscription:
        await subscribed(subscription, town.here)
        assert town.there.create(task_run("over-there"))
        assert town.here.create(task_run("over-here"))
        events = [await subscription.until("the new task", lambda event: event["id"] == "over-here")]
        town.here.do("delete", TASK_RUNS, "over-here")
        await subscription.until("its end", lambda event: event["type"] == "DELETED")

    received = [message for message in subscription.received if message["type"] == "next"]
    everything = [message["payload"]["data"]["taskUpdated"] for message in received]
    assert events[0]["type"] == "ADDED"
    assert {event["task"]["namespace"] for event in everything} == {town.here.namespace}


async def subscribed(subscription: Subscription, kubectl: Kubectl) -> None:
    """Return when a subscription has begun to receive changes."""

    async def touch() -> None:
        for number in itertools.count():
            await asyncio.to_thread(kubectl.do, "annotate", TASK_RUNS, "theirs", f"touched={number}", "--overwrite")

    touching = asyncio.create_task(touch())
    await subscription.next()
    touching.cancel()


async def test_a_user_without_rights_cannot_subscribe(town: Town) -> None:
    for document in ("subscription { taskUpdated { id } }", 'subscription { taskLogs(id: "theirs") { message } }'):
        async with town.user("outsider").subscribe(document) as subscription:
            message = await subscription.receive()
            assert error_codes(message) == [NOT_AUTHORIZED]


def error_codes(message: Any) -> list[str]:
    payload = message["payload"]
    errors = payload if isinstance(payload, list) else payload.get("errors", [])
    return [error["extensions"]["code"] for error in errors]


@pytest.mark.parametrize(
    ("kind", "codes"),
    [
        ("rolebinding", {NOT_AUTHORIZED}),
        ("serviceaccount", {NOT_AUTHORIZED, "BackgroundTasks/NotAuthenticated"}),
    ],
)
async def test_a_subscription_ends_soon_after_its_right_is_revoked(
    town: Town, kubectl: Kubectl, kind: str, codes: set[str]
) -> None:
    guest = town.gateway.as_token(add_user(kubectl, "guest", "podrelay-user"), kubectl.namespace)
    assert kubectl.create(task_run("watched"))
    eventually("the run is seen", lambda: tasks(guest) == ["watched"])

    async with guest.subscribe('subscription { taskUpdated(id: "watched") { id } }') as subscription:
        assert (await subscription.next())["id"] == "watched"
        await asyncio.to_thread(kubectl.do, "delete", kind, "guest")
        message = await subscription.receive(30)
        assert codes.issuperset(error_codes(message))
        assert (await subscription.receive())["type"] == "complete"
        # Nothing else is available over the same WebSocket either.
        payload = {"query": mutation(WRITES["triggerTask"])}
        await subscription.socket.send_json({"id": "2", "type": "subscribe", "payload": payload})
        answer = await subscription.receive()
        found = error_codes(answer) or [answer["payload"]["data"]["backgroundTasks"]["triggerTask"]["error"]["code"]]
        assert codes.issuperset(found)


# --- mutations over a WebSocket ---------------------------------------------------------------------------------------


def mutation(fields: str) -> str:
    return f"mutation {{ backgroundTasks {{ {fields} }} }}"


async def test_a_task_is_triggered_over_a_websocket_as_over_http(town: Town) -> None:
    async with town.user("operator").subscribe(mutation(WRITES["triggerTask"])) as connection:
        started = (await connection.next())["triggerTask"]["data"]["id"]
        assert (await connection.receive())["type"] == "complete"

    annotations = town.here.get(TASK_RUNS, started)["metadata"]["annotations"]
    assert annotations == {"podrelay.dev/created-by": f"system:serviceaccount:{town.here.namespace}:operator"}
    town.here.do("delete", TASK_RUNS, started)


@pytest.mark.parametrize("field", WRITES)
async def test_a_reader_changes_nothing_over_a_websocket(town: Town, field: str) -> None:
    async with town.user("reader").subscribe(mutation(WRITES[field])) as connection:
        answer = await connection.next()
    assert (answer[field]["data"], answer[field]["error"]["code"]) == (None, NOT_AUTHORIZED)


async def test_a_private_definition_is_not_triggered_over_a_websocket(town: Town) -> None:
    assert town.here.apply(task_definition("hidden", private=True))
    for definition in ("hidden", "missing"):
        fields = WRITES["triggerTask"].replace("countWords", definition)
        async with town.user("mayor").subscribe(mutation(fields)) as connection:
            answer = (await connection.next())["triggerTask"]
            assert (answer["data"], answer["error"]["code"]) == (None, "TASK_DEFINITION_ERROR")


async def test_an_unknown_token_opens_no_websocket(town: Town) -> None:
    unknown = town.gateway.as_token("eyJhbGciOiJub25lIn0.e30.x", town.here.namespace)
    async with unknown.subscribe(mutation(WRITES["triggerTask"])) as connection:
        assert connection.received == []
        assert connection.socket.close_code == 4403


# --- metrics ----------------------------------------------------------------------------------------------------------


async def test_requests_are_counted_and_the_public_address_serves_no_metrics(town: Town) -> None:
    before = town.gateway.scrape()
    tasks(town.user("reader"))
    town.user("outsider").ask(f"{{ backgroundTasks {{ {READS['listTasks']} }} }}")
    async with town.user("reader").subscribe('subscription { taskUpdated(id: "theirs") { id } }') as subscription:
        await subscription.next()
        assert growth(before, town.gateway.scrape())("podrelay_gateway_subscriptions") == 1

    def grown(name: str, **labels: str) -> float:
        return growth(before, town.gateway.scrape())(name, **labels)

    fields = "podrelay_gateway_fields_total"
    eventually("the subscription has ended", lambda: grown(fields, field="taskUpdated", outcome="ok") == 1)
    assert grown("podrelay_gateway_subscriptions") == 0
    assert grown(fields, field="listTasks", outcome="ok") == 1
    assert grown(fields, field="listTasks", outcome=NOT_AUTHORIZED) == 1
    assert grown("podrelay_gateway_api_requests_total", credentials="caller", outcome="ok") >= 2
    assert town.user("reader").post(None, "/metrics", "GET").status == 404
