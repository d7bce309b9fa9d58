"""Probes and metrics over HTTP. Liveness says that the loop runs, never that the backlog is short."""

from collections.abc import Awaitable, Callable

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest


async def serve(
    listen: str, problem: Callable[[], str | None], count: Callable[[], Awaitable[None]]
) -> tuple[web.AppRunner, str]:
    """Serve /healthz, /readyz and /metrics at `listen` (host:port); return what to clean up, and the address in use.

    Args:
        listen: the address; port 0: a free one.
        problem: returns why the process is not ready, None if it is.
        count: brings figures up to date that are not kept so.

    Raises:
        OSError: the address cannot be used.
    """

    async def healthz(_: web.Request) -> web.Response:
        return web.Response(text="ok\n")  # that it can be answered is the whole message

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
