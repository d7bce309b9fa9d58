"""What a browser is told about pages of other origins, when it asks before and when it has sent."""

import pytest

from podrelay.gateway.server import ServerOptions
from tests.unit.gateway.conftest import Gateway, Start

FRIEND = "https://console.example"


@pytest.fixture
async def gateway(start: Start) -> Gateway:
    """One that pages of a friend may call."""
    started: Gateway = await start(options=ServerOptions("shop", origins=(FRIEND,)))
    return started


def names(header: str) -> set[str]:
    return {name.strip().lower() for name in header.split(",")}


@pytest.mark.parametrize(
    "asked",
    [
        "authorization,content-type,x-tenant,x-webiny-sdk",
        "authorization,content-type,x-tenant,x-i18n-locale",
        "Authorization, Content-Type, X-Podrelay-Namespace",
        "x-webiny-of-a-later-version",
        "",
    ],
)
async def test_a_browser_may_send_what_webinys_clients_send(gateway: Gateway, asked: str) -> None:
    headers = {"Origin": FRIEND, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": asked}
    answer = await gateway.client.options("/graphql", headers=headers)

    assert answer.status == 204
    assert answer.headers["Access-Control-Allow-Origin"] == FRIEND
    assert answer.headers["Access-Control-Allow-Credentials"] == "true"
    assert answer.headers["Access-Control-Allow-Methods"] == "POST"
    assert names(asked) - {""} <= names(answer.headers["Access-Control-Allow-Headers"])
    assert names(answer.headers["Vary"]) == {"origin", "access-control-request-headers"}


async def test_a_browser_may_not_send_what_nobody_knows(gateway: Gateway) -> None:
    asked = "x-forwarded-user, x-webiny-\u00e9, x-webiny-a b, " + ", ".join(f"x-webiny-{n}" for n in range(100))
    headers = {"Origin": FRIEND, "Access-Control-Request-Headers": asked}
    allowed = names((await gateway.client.options("/graphql", headers=headers)).headers["Access-Control-Allow-Headers"])

    assert "x-forwarded-user" not in allowed
    assert not any(" " in name or not name.isascii() for name in allowed)
    assert len(allowed) < 40


async def test_pages_of_other_sites_may_read_only_where_they_are_allowed(gateway: Gateway) -> None:
    asked = await gateway.client.options("/graphql", headers={"Origin": "https://evil.example"})
    friend = await gateway.post({"query": "{ __typename }"}, Origin=FRIEND)
    stranger = await gateway.post({"query": "{ __typename }"}, Origin="https://evil.example")
    nobody = await gateway.post({"query": "{ __typename }"}, token=None, Origin=FRIEND)

    assert asked.status == 405
    assert friend.headers["Access-Control-Allow-Origin"] == nobody.headers["Access-Control-Allow-Origin"] == FRIEND
    assert friend.headers["Access-Control-Allow-Credentials"] == "true"
    assert nobody.status == 401
    for answer in (asked, stranger):
        assert not [name for name in answer.headers if name.startswith("Access-Control")]
