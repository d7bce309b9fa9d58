"""Cross-origin requests: what browsers let pages of other origins send and read."""

from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Final

from aiohttp import web

from podrelay.gateway.call import NAMESPACE_HEADER
from podrelay.gateway.http.tenants import TENANT_HEADER
from podrelay.gateway.read_your_writes import READ_AFTER_HEADER

STALE_HEADER: Final = "X-Podrelay-Stale"
_SENT: Final = (
    "Accept",
    "Authorization",
    "Cache-Control",
    "Content-Type",
    NAMESPACE_HEADER,
    TENANT_HEADER,
    READ_AFTER_HEADER,
    "X-I18n-Locale",
    "X-Apollo-Tracing",
)
"""Headers that clients of Webiny and Podrelay send, in addition to those that begin with X-Webiny-."""
_OF_WEBINY: Final = "x-webiny-"
_MAX_SENT: Final = 20
"""How many headers of a preflight request are considered."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def cors(origins: frozenset[str]) -> Any:
    """Return a middleware that lets pages of these origins read answers; browsers block all other origins.

    Credentials are allowed, because Webiny's admin app makes the browser send them; the gateway ignores cookies.
    """

    @web.middleware
    async def cors(request: web.Request, handler: Handler) -> web.StreamResponse:
        origin = request.headers.get("Origin", "")
        if origin not in origins:
            return await handler(request)
        is_preflight = request.method == "OPTIONS"
        response = _allowed(request) if is_preflight else await handler(request)
        if not response.prepared:
            # Never *, which browsers refuse together with credentials, and which would admit every page.
            response.headers["Access-Control-Allow-Origin"] = origin
            response.headers["Access-Control-Allow-Credentials"] = "true"
            response.headers["Access-Control-Expose-Headers"] = STALE_HEADER
            response.headers["Vary"] = "Origin, Access-Control-Request-Headers" if is_preflight else "Origin"
        return response

    return cors


def _allowed(request: web.Request) -> web.StreamResponse:
    asked = request.headers.get("Access-Control-Request-Headers", "")
    return web.Response(
        status=204,
        headers={
            "Access-Control-Allow-Methods": "POST",
            "Access-Control-Allow-Headers": ", ".join([*_SENT, *_of_webiny(asked)]),
            "Access-Control-Max-Age": "600",
        },
    )


def _of_webiny(asked: str) -> Iterator[str]:
    """Yield the requested headers that begin with X-Webiny-; CORS has no wildcard for a prefix, so each is repeated."""
    for name in asked.split(",", _MAX_SENT)[:_MAX_SENT]:
        lowered = name.strip().lower()
        if lowered.startswith(_OF_WEBINY) and lowered.replace("-", "").isalnum() and lowered.isascii():
            yield lowered
