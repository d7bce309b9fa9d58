"""Probes and metrics over HTTP. Liveness only depends on the event loop, never on the length of the queue."""

from collections.abc import Awaitable, Callable

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest


async def serve(
    listen: str, problem: Callable[[], str | None], count: Callable[[], Awaitable[None]]
) -> tuple[web.AppRunner, str]:
    """Serve /healthz, /readyz and /metrics at `listen` (host:port); return the runner to clean up, and the address.

    Args:
        listen: the address to listen on; with port 0, a free port.
        problem: returns why the process is not ready, None if it is.
        count: updates the metrics that are computed on request.

    Raises:
        OSError: the address cannot be used.
    """

    async def healthz(_: web.Request) -> web.Response:
        return web.Response(text="ok\n")  # to answer at all is the check

    async def readyz(_: web.Request) -> web.Response:
        why = problem()
        return web.Response(text="ok\n") if why is None else web.Response(status=503, text=f"{why}\n")

    async def metrics(_: web.Request) -> web.Response:
        await count()
        return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    app = web.Application()
    app.add_routes([web.get("/healthz", healthz), web.get("/readyz", readyz), web.get("/metrics", metrics)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    host, _, port = listen.rpartition(":")
    site = web.TCPSite(runner, host.strip("[]") or None, int(port))
    await site.start()
    address = runner.addresses[0]
    return runner, f"{address[0]}:{address[1]}"
