"""GraphiQL is served only if enabled, loads everything from this server, and calls no other."""

import argparse
import re
from pathlib import Path

import pytest

from podrelay.gateway import main, options
from podrelay.gateway.http import graphiql
from podrelay.gateway.http.server import ServerOptions
from tests.unit.gateway.conftest import Gateway, Start

BUILD = "0123456789abcdef"
FILES = {"main.js": "text/javascript", "main.css": "text/css", "json.worker.js": "text/javascript"}


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """Files as written by dev.pages."""
    place = tmp_path / "graphiql"
    (place / BUILD).mkdir(parents=True)
    for name in FILES:
        (place / BUILD / name).write_text(f"this is {name}", encoding="utf-8")
    (tmp_path / "secret.js").touch()
    return place


@pytest.fixture
async def page(start: Start, files: Path) -> Gateway:
    """A gateway that serves these files."""
    started: Gateway = await start(pages=graphiql.pages("shop", asks_for_token=True, folder=files))
    return started


def directives(header: str) -> dict[str, list[str]]:
    return {name: values for name, *values in (one.split() for one in header.split(";"))}


async def test_it_is_off_by_default(gateway: Gateway) -> None:
    for path in ("/graphiql", "/graphiql/", f"/graphiql/{BUILD}/main.js"):
        assert (await gateway.client.get(path)).status == 404


async def test_the_page_may_load_and_call_only_this_server(page: Gateway) -> None:
    response = await page.client.get("/graphiql")
    policy = directives(response.headers["Content-Security-Policy"])

    assert (response.status, response.content_type) == (200, "text/html")
    assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == ["'none'"]
    assert policy["script-src"] == policy["connect-src"] == policy["worker-src"] == ["'self'"]
    assert {value for values in policy.values() for value in values} <= {"'none'", "'self'", "'unsafe-inline'", "data:"}
    assert [name for name, values in policy.items() if "'unsafe-inline'" in values] == ["style-src"]
    assert response.headers["Referrer-Policy"] == "no-referrer"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Cache-Control"] == "no-store"
    text = await response.text()
    assert "//" not in text  # no other host
    assert re.findall(r"<script[^>]*>(.*?)</script>", text) == [""]  # script-src forbids inline scripts


async def test_the_files_of_the_page_are_served_with_their_type_and_cached(page: Gateway) -> None:
    text = await (await page.client.get("/graphiql")).text()
    named = re.findall(r'(?:src|href)="(graphiql/[^"]+)"', text)

    assert {Path(path).name for path in named} == {"main.js", "main.css"}
    for path in named:
        response = await page.client.get(f"/{path}")
        assert response.status == 200
        assert response.content_type == FILES[Path(path).name]
        assert "immutable" in response.headers["Cache-Control"]
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert "default-src 'none'" in response.headers["Content-Security-Policy"]  # workers get their policy from here
        assert await response.text() == f"this is {Path(path).name}"


@pytest.mark.parametrize(
    "path", ["other.js", "../../secret.js", "%2e%2e/%2e%2e/secret.js", "", "main.js/", "main.js%00"]
)
async def test_only_its_files_are_served(page: Gateway, path: str) -> None:
    assert (await page.client.get(f"/graphiql/{BUILD}/{path}")).status == 404


@pytest.mark.parametrize(("method", "status"), [("POST", 405), ("DELETE", 405), ("HEAD", 200)])
async def test_the_page_is_read_only(page: Gateway, method: str, status: int) -> None:
    assert (await page.client.request(method, "/graphiql")).status == status


async def test_without_tokens_the_page_is_also_for_this_machine_only(start: Start, files: Path) -> None:
    pages = graphiql.pages("shop", asks_for_token=False, folder=files)
    gateway = await start(options=ServerOptions("shop", loopback_only=True), token_of_its_own=True, pages=pages)

    for path in ("/graphiql", f"/graphiql/{BUILD}/main.js"):
        assert (await gateway.client.get(path, headers={"Host": "localhost:8090"})).status == 200
        assert (await gateway.client.get(path, headers={"Host": "evil.example"})).status == 403


async def test_the_page_knows_whether_to_ask_for_a_token(start: Start, files: Path) -> None:
    for asks, attribute in ((True, 'data-asks-for-token="true"'), (False, 'data-asks-for-token="false"')):
        gateway = await start(pages=graphiql.pages('a"><script>', asks_for_token=asks, folder=files))
        text = await (await gateway.client.get("/graphiql")).text()
        assert attribute in text
        assert 'data-namespace="a&quot;&gt;&lt;script&gt;"' in text


def test_without_its_files_the_gateway_does_not_start_and_says_how_to_build_them(tmp_path: Path) -> None:
    with pytest.raises(graphiql.MissingFilesError, match=r"python -m dev.pages graphiql"):
        graphiql.pages("shop", asks_for_token=True, folder=tmp_path / "graphiql")


def test_graphiql_cannot_be_combined_with_a_hidden_schema() -> None:
    parser = argparse.ArgumentParser()
    options.add_arguments(parser)

    with pytest.raises(main.OptionsError, match="--no-introspection"):
        main.check(parser.parse_args(["--graphiql", "--no-introspection"]))
