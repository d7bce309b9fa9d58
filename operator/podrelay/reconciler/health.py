"""Probes and metrics over HTTP. Liveness says that the loop runs, never that the backlog is short."""

from collections.abc import Callable

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest


async def serve(listen: str, is_ready: Callable[[], bool]) -> tuple[web.AppRunner, str]:
    """Serve /healthz, /readyz and /metrics at `listen` (host:port); return what to clean up, and the address in use.

    Raises:
        OSError: the address cannot be used.
    """

    async def healthz(_: web.Request) -> web.Response:
        return web.Response(text="ok\n")  # that it can be answered is the whole message

    async def readyz(_: web.Request) -> web.Response:
        return web.Response(text="ok\n") if is_ready() else web.Response(status=503, text="caches are filling\n")

    async def metrics(_: web.Request) -> web.Response:
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
