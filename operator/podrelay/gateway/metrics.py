"""Prometheus metrics of the gateway. Labels take values from fixed sets only, so that their number is bounded."""

from collections.abc import Callable, Mapping, Sized
from functools import partial
from typing import Final

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, Counter, Gauge, Histogram, generate_latest

HTTP_REQUESTS: Final = Counter(
    "podrelay_gateway_http_requests",
    "Requests to /graphql, by the status of the answer; 101 is a WebSocket that has ended.",
    ["status"],
)
REFUSED_DOCUMENTS: Final = Counter(
    "podrelay_gateway_refused_documents", "Documents that were not executed: with mistakes, or beyond a limit."
)
FIELDS: Final = Counter(
    "podrelay_gateway_fields",
    "Fields below backgroundTasks, and subscriptions that have ended, by outcome: ok, cancelled, or an error's code.",
    ["operation", "field", "outcome"],
)
FIELD_SECONDS: Final = Histogram(
    "podrelay_gateway_field_seconds",
    "Time to resolve a field below backgroundTasks, without the fields nested in it.",
    ["operation", "field"],
    buckets=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
SUBSCRIPTIONS: Final = Gauge("podrelay_gateway_subscriptions", "Subscriptions that are open.")
SKIPPED: Final = Counter(
    "podrelay_gateway_skipped", "Changed tasks and log lines that were not sent to slow subscribers.", ["what"]
)
STALE_SECONDS: Final = Gauge(
    "podrelay_gateway_stale_seconds", "For how long the cache may have missed changes; 0 while all watches are open."
)
CACHED: Final = Gauge("podrelay_gateway_cached_objects", "Objects in memory, by kind.", ["kind"])
REVIEWS: Final = Counter(
    "podrelay_gateway_reviews",
    "Authentication and authorization checks: asked of the API server, joined to a check in progress, or cached.",
    ["answer"],
)
API_REQUESTS: Final = Counter(
    "podrelay_gateway_api_requests",
    "Requests to the API server, without watches and followed logs, by credentials (own, caller or impersonated), "
    "method, and outcome: ok, 4xx, 5xx, or failed if no answer arrived.",
    ["credentials", "method", "outcome"],
)


def observe(collections: Mapping[str, Sized], stale_seconds: Callable[[], float], open_now: Callable[[], int]) -> None:
    """Set the functions that return the values of the gauges.

    Args:
        collections: the cached objects, by kind.
        stale_seconds: returns for how long the cache may have missed changes.
        open_now: returns how many subscriptions are open.
    """
    for kind, collection in collections.items():
        CACHED.labels(kind).set_function(partial(len, collection))
    STALE_SECONDS.set_function(stale_seconds)
    SUBSCRIPTIONS.set_function(open_now)


def application() -> web.Application:
    """Return a server of /metrics, which requires no token: it names no task, namespace or caller."""

    async def scrape(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    app = web.Application()
    app.add_routes([web.get("/metrics", scrape)])
    return app
