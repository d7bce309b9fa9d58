"""A real Chromium, and a shop with an operator, nodes and a gateway, for the tests of the dashboard."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from dev.cluster import ClusterError
from dev.cluster.paths import which
from dev.harness.gateway import GatewayProcess
from dev.harness.kubectl import Kubectl
from dev.pages import browser as debian
from dev.pages import build
from tests.support.dashboard import View
from tests.support.podfiles import PodFiles
from tests.support.shop import Shop, opened

WAIT_MS = 60_000
"""Pods of tests are processes: on a busy machine they take long."""
expect.set_options(timeout=WAIT_MS)

Open = Callable[..., View]


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Chromium. Its event loop must have ended before other tests begin theirs, so it is not for the session."""
    if not which("npm"):
        pytest.skip("npm is not installed, which the dashboard is built with")
    try:
        program = debian.chromium()
    except ClusterError as error:
        pytest.skip(f"the dashboard cannot be tested: {error}")
    build.ensure(build.DASHBOARD)
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=program, args=[*debian.ARGUMENTS])
        yield launched
        launched.close()


@pytest.fixture(scope="package")
def shop(
    browser: Browser, admin: Kubectl, installed: None, pod_logs: PodFiles, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Shop]:
    """A shop in which a day has passed: it has runs of each kind."""
    with opened(admin, tmp_path_factory.mktemp("shop")) as shop:
        shop.a_day()
        for name in ("spring-catalogue", "feed-market", "feed-news", "feed-broken", "totals-monday", "totals-tuesday"):
            shop.relay.finished(name)
        yield shop


@pytest.fixture(scope="package")
def gateway(admin: Kubectl, shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    """A gateway that needs no token."""
    flags = ("--auth=none", "--dashboard", f"--default-namespace={shop.namespace}")
    with GatewayProcess(admin.kubeconfig, tmp_path_factory.mktemp("gateway"), flags) as gateway:
        yield gateway
        assert "Traceback" not in gateway.text, gateway.text


@pytest.fixture(scope="package")
def asking(admin: Kubectl, shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    """A gateway that asks for a token."""
    flags = ("--dashboard", f"--default-namespace={shop.namespace}")
    with GatewayProcess(admin.kubeconfig, tmp_path_factory.mktemp("asking"), flags) as gateway:
        yield gateway
        assert "Traceback" not in gateway.text, gateway.text


@pytest.fixture
def open_page(browser: Browser, gateway: GatewayProcess, shop: Shop) -> Iterator[Open]:
    """Open a page of the dashboard in a tab of its own; no script may fail, and the policy may not stop anything."""
    problems: list[str] = []
    contexts = []

    def note(page: Page) -> None:
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda message: problems.append(message.text) if _is_trouble(message) else None)

    def opened(path: str = "", *, address: str | None = None, **options: Any) -> View:
        size = {"width": 1440, "height": 1800}  # also runs that are not new are among the rows in the document
        context = browser.new_context(**{"viewport": size, "reduced_motion": "reduce", **options})
        contexts.append(context)
        context.set_default_timeout(WAIT_MS)
        page = context.new_page()
        note(page)
        view = View(page, f"http://{address or gateway.address}", shop.namespace)
        view.go(path)
        return view

    yield opened
    for context in contexts:
        context.close()
    assert not problems, problems


def _is_trouble(message: Any) -> bool:
    # Requests that are refused, and sockets that are cut, are what some tests are about.
    expected = r"Failed to load resource|WebSocket|net::ERR"
    return message.type == "error" and not re.search(expected, message.text)
