"""Cross-origin requests: what a browser lets pages of other origins send, and read of the answers."""

from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Final

from aiohttp import web

from podrelay.gateway.call import NAMESPACE_HEADER
from podrelay.gateway.tenants import TENANT_HEADER
from podrelay.gateway.written import READ_AFTER_HEADER

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
"""What Webiny's clients and ours send, beside headers that begin with X-Webiny-."""
_OF_WEBINY: Final = "x-webiny-"
_MAX_SENT: Final = 20
"""So many headers are looked at in one preflight request."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def cors(origins: frozenset[str]) -> Any:
    """Let pages of these origins read answers; all others are left to the browser, which keeps them from it.

    Credentials are allowed, because the admin app of Webiny asks its browser for them; nothing here looks at cookies.
    """

    @web.middleware
    async def cors(request: web.Request, handler: Handler) -> web.StreamResponse:
        origin = request.headers.get("Origin", "")
        if origin not in origins:
            return await handler(request)
        is_preflight = request.method == "OPTIONS"
        response = _allowed(request) if is_preflight else await handler(request)
        if not response.prepared:
            # Never *, which browsers refuse beside credentials, and which would let in every page.
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
    """Yield the headers that only a name that begins so lets through; there is no pattern for them."""
    for name in asked.split(",", _MAX_SENT)[:_MAX_SENT]:
        lowered = name.strip().lower()
        if lowered.startswith(_OF_WEBINY) and lowered.replace("-", "").isalnum() and lowered.isascii():
            yield lowered
