"""The dashboard is served at the addresses of its views, loads everything from this server, and calls no other."""

import argparse
import re
from pathlib import Path

import pytest
from aiohttp import web

from podrelay.gateway import options
from podrelay.gateway.http import dashboard
from podrelay.gateway.http.server import ServerOptions
from tests.unit.gateway.conftest import Gateway, Start

BUILD = "0123456789abcdef"


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """Files as written by dev.pages."""
    place = tmp_path / "dashboard"
    (place / BUILD).mkdir(parents=True)
    for name in ("main.js", "main.css", "part-ABC.js"):
        (place / BUILD / name).write_text(f"this is {name}", encoding="utf-8")
        (place / BUILD / f"{name}.gz").write_bytes(b"compressed")
    return place


@pytest.fixture
async def page(start: Start, files: Path) -> Gateway:
    """A gateway that serves these files."""
    started: Gateway = await start(pages=dashboard.pages("shop", folder=files))
    return started


async def test_it_is_off_by_default(gateway: Gateway) -> None:
    assert (await gateway.client.get("/")).status == 404
    parser = argparse.ArgumentParser()
    options.add_arguments(parser)
    assert not parser.parse_args([]).dashboard


@pytest.mark.parametrize(
    "path", ["/", "/runs", "/runs/shop/nightly", "/inbox", "/schedules", "/schedules/shop/nightly", "/settings"]
)
async def test_each_view_has_an_address(page: Gateway, path: str) -> None:
    response = await page.client.get(path)
    assert (response.status, response.content_type) == (200, "text/html")
    assert response.headers["Cache-Control"] == "no-store"


async def test_other_addresses_are_not_the_page(page: Gateway) -> None:
    assert (await page.client.get("/admin")).status == 404
    assert (await page.client.post("/")).status == 405
    assert (await page.client.get("/healthz")).content_type == "text/plain"


async def test_the_page_may_load_and_call_only_this_server_and_has_nothing_inline(page: Gateway) -> None:
    response = await page.client.get("/")
    policy = {
        name: values
        for name, *values in (one.split() for one in response.headers["Content-Security-Policy"].split(";"))
    }

    assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == ["'none'"]
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == ["'self'"]
    assert policy["require-trusted-types-for"] == ["'script'"]
    assert not [values for values in policy.values() if "'unsafe-inline'" in values or "'unsafe-eval'" in values]
    text = await response.text()
    assert "//" not in text  # no other host
    assert "style=" not in text
    assert re.findall(r"<script[^>]*>(.*?)</script>", text) == [""]


async def test_its_files_are_cached_and_sent_compressed_to_clients_that_accept_it(page: Gateway) -> None:
    path = f"/dashboard/{BUILD}/main.js"
    compressed = await page.client.get(path, headers={"Accept-Encoding": "gzip"}, auto_decompress=False)
    plain = await page.client.get(path, headers={"Accept-Encoding": "identity"})

    assert compressed.headers["Content-Encoding"] == "gzip"
    assert await compressed.read() == b"compressed"
    assert await plain.text() == "this is main.js"
    for response in (compressed, plain):
        assert response.content_type == "text/javascript"
        assert "immutable" in response.headers["Cache-Control"]
    assert (await page.client.get(f"{path}.gz")).status == 404


async def test_the_namespace_in_the_page_is_escaped(start: Start, files: Path) -> None:
    gateway = await start(pages=dashboard.pages('a"><script>', folder=files))
    assert 'data-namespace="a&quot;&gt;&lt;script&gt;"' in await (await gateway.client.get("/")).text()


async def test_without_tokens_the_page_is_also_for_this_machine_only(start: Start, files: Path) -> None:
    pages = dashboard.pages("shop", folder=files)
    gateway = await start(options=ServerOptions("shop", loopback_only=True), token_of_its_own=True, pages=pages)
    assert (await gateway.client.get("/", headers={"Host": "localhost:8090"})).status == 200
    assert (await gateway.client.get("/", headers={"Host": "evil.example"})).status == 403


async def test_without_its_files_the_gateway_starts_and_its_addresses_say_how_to_build_them(
    start: Start, tmp_path: Path
) -> None:
    pages: list[web.RouteDef] = dashboard.pages("shop", folder=tmp_path / "dashboard")
    gateway = await start(pages=pages)
    for path in ("/", "/runs", "/schedules/shop/nightly"):
        response = await gateway.client.get(path)
        assert response.status == 404
        assert "python -m dev.pages dashboard" in await response.text()


def test_what_to_do_depends_on_the_installation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "built without npm" in dashboard.how_to_build(tmp_path)

    (tmp_path / "dev" / "pages" / "dashboard").mkdir(parents=True)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert dashboard.how_to_build(tmp_path).startswith("install Node.js")
    (tmp_path / "npm").touch(mode=0o755)
    assert (
        dashboard.how_to_build(tmp_path) == f"run `python -m dev.pages dashboard` in {tmp_path}, then start this again"
    )
