"""A reverse proxy in front of gateways, as an Ingress is, which can also sign users in, as oauth2-proxy does.

It keeps sessions in a cookie, and sends the token of the user to the gateway. Requests to /graphql without a session
get 401, all others are led to its page with the link to sign in.
"""

import asyncio
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import aiohttp
from aiohttp import web

COOKIE: Final = "session"
_OF_A_HOP: Final = {"connection", "content-length", "keep-alive", "transfer-encoding", "upgrade"}
_OF_A_SOCKET: Final = "sec-websocket-"


class SignInProxy:
    """A proxy, in a separate thread.

    Args:
        target: host:port of the gateway.
        token: the token of the user who signs in; None: all requests are passed on.

    Attributes:
        address: host:port of the proxy.
        target: may be set to another gateway.
        token: may be set to another token, as a provider renews them.
    """

    def __init__(self, target: str, token: str | None = None) -> None:
        self.target = target
        self.token = token
        self.address = ""
        self._sessions: set[str] = set()
        self._sockets: set[web.WebSocketResponse] = set()

    @contextmanager
    def serving(self) -> Iterator["SignInProxy"]:
        """Serve in a separate thread."""
        ready = threading.Event()

        async def serve() -> None:
            self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
            async with aiohttp.ClientSession(auto_decompress=False) as self._client:
                application = web.Application()
                application.router.add_get("/oauth2/start", self._start)
                application.router.add_route("*", "/{path:.*}", self._handle)
                runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.5)
                await runner.setup()
                await web.TCPSite(runner, "127.0.0.1", 0).start()
                self.address = f"127.0.0.1:{runner.addresses[0][1]}"
                ready.set()
                await self._stop.wait()
                await self._cut()
                await runner.cleanup()

        thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
        thread.start()
        assert ready.wait(10)
        try:
            yield self
        finally:
            self._loop.call_soon_threadsafe(self._stop.set)
            thread.join(15)

    def cut(self) -> None:
        """Cut all WebSockets."""
        asyncio.run_coroutine_threadsafe(self._cut(), self._loop).result(10)

    def end_sessions(self) -> None:
        """End the sessions of all users, and cut their WebSockets."""
        self._sessions.clear()
        self.cut()

    async def _cut(self) -> None:
        for socket in tuple(self._sockets):
            await socket.close(code=aiohttp.WSCloseCode.GOING_AWAY)

    async def _start(self, _: web.Request) -> web.Response:
        session = secrets.token_urlsafe(8)
        self._sessions.add(session)
        answer = web.Response(status=302, headers={"Location": "/"})
        answer.set_cookie(COOKIE, session, httponly=True, samesite="Lax")
        return answer

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        if self.token is not None and request.cookies.get(COOKIE) not in self._sessions:
            if request.path.startswith("/graphql"):
                return web.Response(status=401, text="no session")
            return web.Response(text='<h1>Provider</h1><a href="/oauth2/start">Sign in</a>', content_type="text/html")
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await self._socket(request)
        try:
            async with self._client.request(
                request.method,
                f"http://{self.target}{request.raw_path}",
                headers=self._headers(request),
                data=await request.read(),
                allow_redirects=False,
            ) as answer:
                kept = {name: value for name, value in answer.headers.items() if name.lower() not in _OF_A_HOP}
                return web.Response(status=answer.status, headers=kept, body=await answer.read())
        except aiohttp.ClientError:
            return web.Response(status=502, text="no gateway")

    async def _socket(self, request: web.Request) -> web.StreamResponse:
        protocols = [one.strip() for one in request.headers.get("Sec-WebSocket-Protocol", "").split(",")]
        try:
            there = await self._client.ws_connect(
                f"http://{self.target}{request.raw_path}", protocols=protocols, headers=self._headers(request)
            )
        except aiohttp.ClientError:
            return web.Response(status=502, text="no gateway")
        here = web.WebSocketResponse(protocols=protocols)
        await here.prepare(request)
        self._sockets.add(here)
        try:
            await asyncio.wait(
                [asyncio.create_task(_copy(here, there)), asyncio.create_task(_copy(there, here))],
                return_when=asyncio.FIRST_COMPLETED,
            )
        finally:
            self._sockets.discard(here)
            await there.close()
            await here.close(code=there.close_code or aiohttp.WSCloseCode.GOING_AWAY)
        return here

    def _headers(self, request: web.Request) -> dict[str, str]:
        kept = {
            name: value
            for name, value in request.headers.items()
            if name.lower() not in _OF_A_HOP and not name.lower().startswith(_OF_A_SOCKET)
        }
        return kept | ({"Authorization": f"Bearer {self.token}"} if self.token is not None else {})


Socket = web.WebSocketResponse | aiohttp.ClientWebSocketResponse


async def _copy(source: Socket, sink: Socket) -> None:
    async for message in source:
        if message.type is aiohttp.WSMsgType.TEXT and not sink.closed:
            await sink.send_str(message.data)
