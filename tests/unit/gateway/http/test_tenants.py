"""The namespace of a request: Webiny's tenant, Podrelay's header and the path must agree."""

from typing import Any

import aiohttp
import pytest

from podrelay.gateway.errors import ValidationError
from podrelay.gateway.http.tenants import PATH, TENANT_HEADER, scope_of
from tests.unit.gateway.builders import definition, run
from tests.unit.gateway.conftest import Gateway

HEADER = "X-Podrelay-Namespace"
LIST = {"query": "{ backgroundTasks { listTasks { data { id } } } }"}
TRIGGER = {"query": 'mutation { backgroundTasks { triggerTask(definition: "countWords") { data { id } } } }'}


@pytest.mark.parametrize(
    ("named", "namespace"),
    [
        ([], "shop"),
        ([(TENANT_HEADER, "blog")], "blog"),
        ([(HEADER, "blog")], "blog"),
        ([(PATH, "blog")], "blog"),
        ([(PATH, "blog"), (HEADER, "blog"), (TENANT_HEADER, "blog")], "blog"),
        ([(TENANT_HEADER, "root")], "shop"),
        ([(PATH, "blog"), (TENANT_HEADER, "root")], "blog"),
        ([(HEADER, "blog"), (TENANT_HEADER, "root")], "blog"),
        ([(HEADER, "root")], "root"),
        ([(PATH, ""), (HEADER, ""), (TENANT_HEADER, "")], "shop"),
        ([(TENANT_HEADER, "*")], None),
    ],
)
def test_a_request_is_for_the_namespace_that_it_names(named: list[tuple[str, str]], namespace: str | None) -> None:
    assert scope_of(named, "shop").namespace == namespace


@pytest.mark.parametrize(
    ("named", "words"),
    [
        ([(PATH, "blog"), (HEADER, "shop")], "The path names blog, X-Podrelay-Namespace names shop"),
        ([(HEADER, "shop"), (TENANT_HEADER, "blog")], "X-Podrelay-Namespace names shop, X-Tenant names blog"),
        ([(PATH, "*"), (TENANT_HEADER, "blog")], "The path names \\*, X-Tenant names blog"),
        ([(TENANT_HEADER, "a"), (TENANT_HEADER, "b")], "Name only one of them"),
        ([(TENANT_HEADER, "My Tenant")], "X-Tenant must be a DNS label such as shop"),
        ([(TENANT_HEADER, "../x")], "X-Tenant must be a DNS label"),
    ],
)
def test_a_contradiction_is_reported_with_both_places(named: list[tuple[str, str]], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        scope_of(named, "shop")


async def test_tasks_are_read_and_started_in_the_namespace_of_the_tenant(gateway: Gateway) -> None:
    for namespace in ("shop", "blog"):
        gateway.cache.runs.apply(run(f"of-{namespace}", about={"namespace": namespace}))
    gateway.cache.definitions.apply(definition())

    listed = await (await gateway.post(LIST, X_Tenant="blog")).json()
    await gateway.post(TRIGGER, X_Tenant="blog")
    await gateway.post(TRIGGER, X_Tenant="root")

    assert [task["id"] for task in listed["data"]["backgroundTasks"]["listTasks"]["data"]] == ["of-blog"]
    asked = {path.split("/")[5] for _, path, _ in gateway.api.seen if "/namespaces/" in path}
    assert asked == {"blog", "shop"}


async def test_a_request_for_two_namespaces_does_nothing(gateway: Gateway) -> None:
    answer = await gateway.post(TRIGGER, X_Tenant="blog", X_Podrelay_Namespace="shop")

    assert answer.status == 400
    (error,) = (await answer.json())["errors"]
    assert error["extensions"]["code"] == "BackgroundTasks/ValidationError"
    assert "X-Podrelay-Namespace names shop, X-Tenant names blog" in error["message"]
    assert not gateway.api.seen


async def test_assumed_permissions_are_refused_and_not_ignored(gateway: Gateway) -> None:
    answer = await gateway.post(TRIGGER, X_Webiny_Assume_Permissions="role:reader")

    assert answer.status == 400
    assert "send a token that has those rights" in await answer.text()
    assert not gateway.api.seen


async def listed_over_websocket(gateway: Gateway, params: dict[str, str], **headers: str) -> Any:
    """Return the ids that a WebSocket shows, or the code with which it is closed."""
    payload = {"Authorization": "Bearer alice"} | params
    async with gateway.client.ws_connect("/graphql", protocols=["graphql-transport-ws"], headers=headers) as socket:
        await socket.send_json({"type": "connection_init", "payload": payload})
        await socket.send_json({"id": "1", "type": "subscribe", "payload": LIST})
        async for message in socket:
            if message.json()["type"] == "next":
                found = message.json()["payload"]["data"]["backgroundTasks"]["listTasks"]["data"]
                return [task["id"] for task in found]
    return socket.close_code


async def test_the_first_message_of_a_websocket_names_its_tenant(gateway: Gateway) -> None:
    gateway.cache.runs.apply(run("of-blog", about={"namespace": "blog"}))

    assert await listed_over_websocket(gateway, {"x-tenant": "blog"}) == ["of-blog"]
    assert await listed_over_websocket(gateway, {"X-Tenant": "blog", HEADER: "shop"}) == 4403
    assert await listed_over_websocket(gateway, {}, **{"X-Tenant": "blog"}) == ["of-blog"]
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await listed_over_websocket(gateway, {}, **{"X-Tenant": "My Tenant"})
    assert refused.value.status == 400
