"""Metrics after known requests; and nothing that callers send becomes a label."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from aiohttp.test_utils import TestClient, TestServer

from dev.harness.metrics import Samples, growth, samples
from podrelay.gateway import metrics
from tests.unit.gateway.builders import run
from tests.unit.gateway.conftest import Gateway

Scrape = Callable[[], Awaitable[str]]
LIST = "{ backgroundTasks { listTasks { data { id } error { code } } } }"
NOT_AUTHORIZED = "BackgroundTasks/NotAuthorized"


@pytest.fixture
async def scrape(gateway: Gateway) -> AsyncIterator[Scrape]:
    """Return a function that scrapes the metrics as Prometheus does."""
    metrics.observe(gateway.cache.collections(), gateway.cache.stale_seconds, lambda: 0)
    async with TestClient(TestServer(metrics.application())) as client:

        async def scrape() -> str:
            response = await client.get("/metrics")
            assert response.status == 200
            return await response.text()

        yield scrape


async def test_fields_are_counted_by_operation_and_outcome(gateway: Gateway, scrape: Scrape) -> None:
    before = samples(await scrape())
    await gateway.ask(LIST)
    await gateway.ask("{ backgroundTasks { a: listTasks { data { id } } b: getTask(id: 1) { data { id } } } }")
    await gateway.ask(LIST, token="bob")
    await gateway.ask('mutation { backgroundTasks { triggerTask(definition: "x") { error { code } } } }')
    await gateway.ask('mutation { backgroundTasks { triggerTask(definition: "x") { error { code } } } }', token="bob")
    fields = growth(before, samples(await scrape()))

    name = "podrelay_gateway_fields_total"
    assert fields(name, operation="query", field="listTasks", outcome="ok") == 2
    assert fields(name, operation="query", field="getTask", outcome="ok") == 1
    assert fields(name, operation="query", field="listTasks", outcome=NOT_AUTHORIZED) == 1
    assert fields(name, operation="mutation", field="triggerTask", outcome="TASK_DEFINITION_ERROR") == 1
    assert fields(name, operation="mutation", field="triggerTask", outcome=NOT_AUTHORIZED) == 1
    assert fields(name) == fields("podrelay_gateway_field_seconds_count") == 6


async def test_requests_are_counted_by_status_and_refused_documents_separately(
    gateway: Gateway, scrape: Scrape
) -> None:
    before = samples(await scrape())
    await gateway.ask("{ __typename }")
    for refused in ("{", "{ nonsense }", "{ " + "__typename " * 5000 + " }"):
        await gateway.ask(refused)
    await gateway.post({"query": "{ __typename }"}, token=None)
    await gateway.client.get("/graphql/shop")
    await gateway.client.get("/healthz")
    requests = growth(before, samples(await scrape()))

    name = "podrelay_gateway_http_requests_total"
    assert {status: requests(name, status=status) for status in ("200", "401", "405")} == {"200": 4, "401": 1, "405": 1}
    assert requests(name) == 6
    assert requests("podrelay_gateway_refused_documents_total") == 3


async def test_reviews_are_counted_by_whether_the_api_server_was_asked(gateway: Gateway, scrape: Scrape) -> None:
    before = samples(await scrape())
    await gateway.ask(LIST)
    await gateway.ask(LIST)
    gateway.api.is_down = True
    await gateway.ask('{ backgroundTasks { podLogs(id: "words") { error { code } } } }')
    asked = growth(before, samples(await scrape()))

    reviews = "podrelay_gateway_reviews_total"
    # The caller is checked for each request, and twice more for its operation, which over a WebSocket may be sent much
    # later: when the document is read, and before it is executed.
    assert (asked(reviews, answer="asked"), asked(reviews, answer="cached")) == (3, 9)
    requests = "podrelay_gateway_api_requests_total"
    assert asked(requests, credentials="caller", method="POST", outcome="ok") == 2
    assert asked(requests, credentials="caller", outcome="5xx") == 1
    assert asked(requests) == 3


async def test_the_cache_reports_its_size_and_staleness(gateway: Gateway, scrape: Scrape) -> None:
    gateway.cache.runs.replace([run(f"r{number}") for number in range(7)], "1")
    gateway.watch.broken_since = asyncio.get_running_loop().time() - 12
    found = growth({}, samples(await scrape()))

    assert found("podrelay_gateway_cached_objects", kind="runs") == 7
    assert found("podrelay_gateway_stale_seconds") == pytest.approx(12, abs=1)


async def test_nothing_that_a_caller_sends_becomes_a_label(gateway: Gateway, scrape: Scrape) -> None:
    before: Samples = samples(await scrape())
    await gateway.post({"query": "query evil { backgroundTasks { evil: listTasks { data { id } } } }"})
    await gateway.post({"query": "{ evil }"})
    await gateway.ask(
        '{ backgroundTasks { listTasks(search: "evil") { data { id } } getTask(id: "evil") { error { code } } } }'
    )
    await gateway.client.request("EVIL", "/graphql/evil", data=json.dumps({"query": "{ evil }"}))
    text = await scrape()

    assert "evil" not in text.lower()
    new = {name for name, _ in samples(text).keys() - before.keys()}
    assert all(name.startswith("podrelay_gateway_") for name in new)
