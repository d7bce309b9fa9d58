"""A proxy between the operator and the API server that misbehaves, by a seed.

It answers in the API server's place (409, 429 with Retry-After, 500, 503), delays, drops connections before a request
and after it (the write has happened, the answer is lost), cuts watches, sends 410, and repeats events. It speaks plain
HTTP to the operator, so that nothing has to be decrypted, and has the administrator's credentials.
"""

import asyncio
import contextlib
import json
import random
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import aiohttp
from aiohttp import web

from podrelay.kube import config

FAULTS = ("delay", "drop_before", "drop_after", "conflict", "throttle", "error", "unavailable")
WATCH_FAULTS = ("cut", "gone", "repeat")


class FaultProxy:
    """One proxy.

    Args:
        kubeconfig: of the real API server.
        seed: decides which requests fail how.
        rate: share of the requests that fail.
    """

    def __init__(self, kubeconfig: Path, seed: int, rate: float) -> None:
        self._connection = config.load(kubeconfig)
        self._random = random.Random(seed)
        self._rate = rate
        self.counts: Counter[str] = Counter()
        self.address = ""
        self.is_calm = False

    @contextmanager
    def serving(self) -> Iterator["FaultProxy"]:
        """Serve in a thread of its own."""
        ready = threading.Event()

        async def serve() -> None:
            self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
            connector = aiohttp.TCPConnector(ssl=self._connection.ssl_context or True, limit=0)
            async with aiohttp.ClientSession(connector=connector, auto_decompress=False) as self._session:
                application = web.Application(client_max_size=16 * 1024 * 1024)
                application.router.add_route("*", "/{path:.*}", self._handle)
                runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.5)
                await runner.setup()
                await web.TCPSite(runner, "127.0.0.1", 0).start()
                self.address = f"http://127.0.0.1:{runner.addresses[0][1]}"
                ready.set()
                await self._stop.wait()
                await runner.cleanup()

        thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
        thread.start()
        assert ready.wait(10)
        try:
            yield self
        finally:
            self._loop.call_soon_threadsafe(self._stop.set)
            thread.join(15)

    def kubeconfig(self, folder: Path) -> Path:
        """Write a kubeconfig for this proxy."""
        path = folder / "proxy.kubeconfig"
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "proxy", "cluster": {"server": self.address}}],
            "users": [{"name": "nobody", "user": {}}],
            "contexts": [{"name": "proxy", "context": {"cluster": "proxy", "user": "nobody"}}],
            "current-context": "proxy",
        }
        path.write_text(json.dumps(document), encoding="utf-8")
        return path

    def _fault(self, kinds: tuple[str, ...]) -> str | None:
        if self.is_calm or self._random.random() >= self._rate:
            return None
        kind = self._random.choice(kinds)
        self.counts[kind] += 1
        return kind

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        if request.query.get("watch") == "true":
            return await self._watch(request)
        # Leases are left alone: losing one ends the process, as it should, and other tests do that.
        fault = None if "/leases" in request.path else self._fault(FAULTS)
        match fault:
            case "drop_before":
                self._drop(request)
            case "conflict" if request.method in {"PATCH", "PUT", "DELETE"}:
                return _status(409, "Conflict", "the object has been modified")
            case "throttle":
                return _status(429, "TooManyRequests", "slow down", {"Retry-After": "1"})
            case "error":
                return _status(500, "InternalError", "etcdserver: leader changed")
            case "unavailable":
                return _status(503, "ServiceUnavailable", "apiserver is shutting down")
            case "delay":
                await asyncio.sleep(self._random.uniform(0.1, 0.8))
        async with self._forward(request) as answer:
            body = await answer.read()
        if fault == "drop_after":
            self._drop(request)
        return web.Response(status=answer.status, body=body, content_type=answer.content_type)

    def _drop(self, request: web.Request) -> None:
        if request.transport is not None:
            request.transport.abort()
        raise web.HTTPBadGateway

    def _forward(self, request: web.Request) -> "aiohttp.client._RequestContextManager":
        headers = {
            name: value
            for name, value in request.headers.items()
            if name.lower() in {"accept", "content-type", "user-agent"}
        } | {"Accept-Encoding": "identity"}
        url = self._connection.server + request.path_qs
        body = request.content if request.can_read_body else None
        return self._session.request(request.method, url, data=body, headers=headers)

    async def _watch(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        async with self._forward(request) as answer:
            if answer.status != 200:
                return web.Response(status=answer.status, body=await answer.read(), content_type="application/json")
            await response.prepare(request)
            pending = b""
            with contextlib.suppress(ConnectionResetError):
                async for chunk in answer.content.iter_any():
                    *lines, pending = (pending + chunk).split(b"\n")
                    for line in lines:
                        fault = self._fault(WATCH_FAULTS)
                        if fault == "cut":
                            self._drop(request)
                        if fault == "gone":
                            gone = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"}
                            await response.write(json.dumps({"type": "ERROR", "object": gone}).encode() + b"\n")
                            return response
                        await response.write((line + b"\n") * (2 if fault == "repeat" else 1))
        return response


def _status(code: int, reason: str, message: str, headers: dict[str, str] | None = None) -> web.Response:
    body = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason}
    return web.json_response({**body, "message": message}, status=code, headers=headers)
