"""CORS headers for pages of other origins, in answers to preflight requests and to requests."""

import pytest

from podrelay.gateway.http.server import ServerOptions
from tests.unit.gateway.conftest import Gateway, Start

ALLOWED = "https://console.example"


@pytest.fixture
async def gateway(start: Start) -> Gateway:
    """A gateway that allows one other origin."""
    started: Gateway = await start(options=ServerOptions("shop", origins=(ALLOWED,)))
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
    headers = {"Origin": ALLOWED, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": asked}
    answer = await gateway.client.options("/graphql", headers=headers)

    assert answer.status == 204
    assert answer.headers["Access-Control-Allow-Origin"] == ALLOWED
    assert answer.headers["Access-Control-Allow-Credentials"] == "true"
    assert answer.headers["Access-Control-Allow-Methods"] == "POST"
    assert names(asked) - {""} <= names(answer.headers["Access-Control-Allow-Headers"])
    assert names(answer.headers["Vary"]) == {"origin", "access-control-request-headers"}


async def test_a_browser_may_not_send_unknown_headers(gateway: Gateway) -> None:
    asked = "x-forwarded-user, x-webiny-\u00e9, x-webiny-a b, " + ", ".join(f"x-webiny-{n}" for n in range(100))
    headers = {"Origin": ALLOWED, "Access-Control-Request-Headers": asked}
    allowed = names((await gateway.client.options("/graphql", headers=headers)).headers["Access-Control-Allow-Headers"])

    assert "x-forwarded-user" not in allowed
    assert not any(" " in name or not name.isascii() for name in allowed)
    assert len(allowed) < 40


async def test_only_pages_of_allowed_origins_may_read_answers(gateway: Gateway) -> None:
    asked = await gateway.client.options("/graphql", headers={"Origin": "https://evil.example"})
    allowed = await gateway.post({"query": "{ __typename }"}, Origin=ALLOWED)
    other = await gateway.post({"query": "{ __typename }"}, Origin="https://evil.example")
    without_token = await gateway.post({"query": "{ __typename }"}, token=None, Origin=ALLOWED)

    assert asked.status == 405
    for answer in (allowed, without_token):
        assert answer.headers["Access-Control-Allow-Origin"] == ALLOWED
    assert allowed.headers["Access-Control-Allow-Credentials"] == "true"
    assert without_token.status == 401
    for answer in (asked, other):
        assert not [name for name in answer.headers if name.startswith("Access-Control")]
