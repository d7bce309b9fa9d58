"""Count requests, by a middleware of aiohttp."""

from aiohttp import web

from podrelay.gateway.http.cors import Handler
from podrelay.gateway.metrics import HTTP_REQUESTS


@web.middleware
async def requests(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Count requests to /graphql by the status of the response."""
    response = await handler(request)
    if request.path.startswith("/graphql"):
        HTTP_REQUESTS.labels(str(response.status)).inc()
    return response
