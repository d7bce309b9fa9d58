"""A proxy between the operator and the API server that injects faults, determined by a seed.

It answers instead of the API server (409, 429 with Retry-After, 500, 503), delays requests, drops connections before or
after a request (the write has happened, the answer is lost) or delays that answer, cuts watches, lets them hang, sends
410, repeats events, and holds them back to deliver many at once. It can be down for all requests, and can end kopf. It
uses plain HTTP to the operator, so nothing has to be decrypted, and has the administrator's credentials.
"""

import asyncio
import contextlib
import json
import random
import threading
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import aiohttp
from aiohttp import web

from podrelay.kube import config

FAULTS = ("delay", "drop_before", "drop_after", "hang_after", "conflict", "throttle", "error", "unavailable")
WATCH_FAULTS = ("cut", "gone", "repeat", "hold", "hang")
HANG_SECONDS = 6.0
"""Longer than the timeout of a read, and shorter than that of a write, which includes admission."""
BOOKMARK_SECONDS = 1.0
"""The interval of bookmarks in a quiet watch, a sixtieth of the API server's: operators with a short watch timeout must
be able to distinguish a broken watch from a quiet one."""


class FaultProxy:
    """A proxy.

    Args:
        kubeconfig: the kubeconfig of the real API server.
        seed: determines which requests fail and how.
        rate: the share of requests that fail.
    """

    def __init__(self, kubeconfig: Path, seed: int, rate: float) -> None:
        self._connection = config.load(kubeconfig)
        self._random = random.Random(seed)
        self._rate = rate
        self.counts: Counter[str] = Counter()
        self.address = ""
        self.is_calm = False
        self.is_silent = False
        self.is_refusing = False
        self.hidden = ""
        """Requests whose path contains this get 404."""
        self.lagging = ""
        """Watches whose path contains this get no events, as if they lagged; later all events arrive at once."""
        self.loses = ""
        """The answer to the next request with this method is lost, after the API server has processed it."""
        self.delayed = ""
        """Creations of this resource are not passed on yet, even if their client does not wait for the answer."""
        self.has_delayed = False
        self.ends_kopf = False
        self.kopf_watches = 0

    @contextmanager
    def serving(self) -> Iterator["FaultProxy"]:
        """Serve in a separate thread."""
        ready = threading.Event()

        async def serve() -> None:
            self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
            connector = aiohttp.TCPConnector(ssl=self._connection.ssl_context or True, limit=0)
            async with aiohttp.ClientSession(connector=connector, auto_decompress=False) as self._session:
                application = web.Application(client_max_size=16 * 1024 * 1024)
                application.router.add_route("*", "/{path:.*}", self._handle)
                self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.5)
                await self._runner.setup()
                await web.TCPSite(self._runner, "127.0.0.1", 0).start()
                self.address = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
                ready.set()
                await self._stop.wait()
                self.is_silent = False
                await self._runner.cleanup()

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
            "users": [{"name": "anonymous", "user": {}}],
            "contexts": [{"name": "proxy", "context": {"cluster": "proxy", "user": "anonymous"}}],
            "current-context": "proxy",
        }
        path.write_text(json.dumps(document), encoding="utf-8")
        return path

    @contextmanager
    def outage(self, *, silent: bool) -> Iterator[None]:
        """Be down: refuse all connections, or stop responding like a machine that hangs."""
        self.is_silent, self.is_refusing = silent, not silent
        if not silent:
            self.cut_all()
        try:
            yield
        finally:
            self.is_silent = self.is_refusing = False

    def end_kopf(self) -> None:
        """Send kopf an event that ends it, as long as `ends_kopf` is set."""
        self.ends_kopf = True
        self.cut_all()

    def cut_all(self) -> None:
        """Drop all connections."""
        assert self._runner.server is not None
        for connection in list(self._runner.server.connections):
            if connection.transport is not None:
                self._loop.call_soon_threadsafe(connection.transport.abort)

    def _fault(self, kinds: tuple[str, ...]) -> str | None:
        if self.is_calm or self._random.random() >= self._rate:
            return None
        kind = self._random.choice(kinds)
        self.counts[kind] += 1
        return kind

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        try:
            return await self._answer(request)
        except (aiohttp.ClientError, ConnectionError, TimeoutError):
            self._drop(request)

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        if self.is_refusing:
            self._drop(request)
        await self._while_silent(request)
        if self.hidden and self.hidden in request.path:
            return web.json_response({"kind": "Status", "status": "Failure", "reason": "NotFound"}, status=404)
        if request.query.get("watch") == "true":
            return await self._watch(request)
        # Requests for Leases do not fail: losing a Lease ends the process, as it should, and other tests cover that.
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
        received = await request.read()
        while self._is_delayed(request):
            self.has_delayed = True
            await asyncio.sleep(0.02)
        async with self._forward(request, received) as answer:
            body = await answer.read()
        await self._while_silent(request)
        if request.method == self.loses:
            self.loses, fault = "", "drop_after"
        if fault == "hang_after":
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(HANG_SECONDS):
                    await self._hang(request)
            self._drop(request)
        if fault == "drop_after":
            self._drop(request)
        return web.Response(status=answer.status, body=body, content_type=answer.content_type)

    def _is_delayed(self, request: web.Request) -> bool:
        # Not a dry run: that is how the operator reviews a definition, and it creates nothing.
        creates = request.method == "POST" and "dryRun" not in request.query
        return creates and self.delayed != "" and request.path.endswith(f"/{self.delayed}")

    async def _while_silent(self, request: web.Request) -> None:
        while self.is_silent and request.transport is not None:  # noqa: ASYNC110 - set by another thread
            await asyncio.sleep(0.02)
        if request.transport is None:
            raise ConnectionResetError

    async def _while_lagging(self, request: web.Request) -> None:
        while self.lagging and self.lagging in request.path and request.transport is not None:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.02)

    async def _hang(self, request: web.Request) -> None:
        while request.transport is not None and not self._stop.is_set():  # noqa: ASYNC110 - aiohttp has no event
            await asyncio.sleep(0.05)
        raise ConnectionResetError

    def _drop(self, request: web.Request) -> NoReturn:
        if request.transport is not None:
            request.transport.abort()
        raise web.HTTPBadGateway

    def _forward(self, request: web.Request, body: bytes = b"") -> "aiohttp.client._RequestContextManager":
        headers = {
            name: value
            for name, value in request.headers.items()
            if name.lower() in {"accept", "content-type", "user-agent"}
        } | {"Accept-Encoding": "identity", "Authorization": f"Bearer {self._connection.token()}"}
        url = self._connection.server + request.path_qs
        return self._session.request(
            request.method, url, data=body or None, headers=headers, skip_auto_headers=("Content-Type",)
        )

    async def _watch(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        async with self._forward(request) as answer:
            if answer.status != 200:
                return web.Response(status=answer.status, body=await answer.read(), content_type="application/json")
            await response.prepare(request)
            if request.headers.get("User-Agent", "").startswith("kopf"):
                self.kopf_watches += 1
                if self.ends_kopf:
                    await response.write(_error_event(500, "InternalError", "etcd event received with PrevKv=nil"))
                    return response
            with contextlib.suppress(ConnectionResetError):
                async for line in _with_bookmarks(answer.content, request.query.get("resourceVersion", "0")):
                    await self._while_silent(request)
                    await self._while_lagging(request)
                    fault = None if b'"BOOKMARK"' in line[:20] else self._fault(WATCH_FAULTS)
                    match fault:
                        case "cut":
                            self._drop(request)
                        case "gone":
                            await response.write(_error_event(410, "Expired", "too old"))
                            return response
                        case "hang":
                            await self._hang(request)
                        case "hold":
                            await asyncio.sleep(
                                self._random.uniform(0.3, 3)
                            )  # later events are delivered together with it
                    await response.write(line * (2 if fault == "repeat" else 1))
        return response


async def _with_bookmarks(content: aiohttp.StreamReader, version: str) -> AsyncIterator[bytes]:
    """Yield the lines of a watch, and a bookmark after each second without events."""
    pending = b""
    while not content.at_eof():
        try:
            chunk = await asyncio.wait_for(content.readany(), BOOKMARK_SECONDS)
        except TimeoutError:
            bookmark = {"metadata": {"resourceVersion": version}}
            yield json.dumps({"type": "BOOKMARK", "object": bookmark}).encode() + b"\n"
            continue
        *lines, pending = (pending + chunk).split(b"\n")
        for line in lines:
            version = json.loads(line)["object"]["metadata"].get("resourceVersion", version)
            yield line + b"\n"


def _error_event(code: int, reason: str, message: str) -> bytes:
    status = {"kind": "Status", "code": code, "reason": reason, "message": message}
    return json.dumps({"type": "ERROR", "object": status}).encode() + b"\n"


def _status(code: int, reason: str, message: str, headers: dict[str, str] | None = None) -> web.Response:
    body = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason}
    return web.json_response({**body, "message": message}, status=code, headers=headers)
