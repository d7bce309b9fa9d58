"""Limits of connections: their number, and how long each may take to send a request.

aiohttp limits neither. A connection that has not shown a valid token is kept only while there is room: if there are too
many connections, the one that has waited longest is closed. Authenticated requests and WebSockets have limits for each
user.
"""

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Final, cast

from aiohttp import web

HEADER_SECONDS: Final = 10.0
"""Until the complete header has arrived: from the start of a connection, or the first byte of each further request."""
IDLE_SECONDS: Final = 75.0
"""Between two requests, as proxies expect; the default of aiohttp is one hour."""
BODY_SECONDS: Final = 30.0
"""Until the complete body has arrived."""
HANDSHAKE_SECONDS: Final = 10.0
_BACKLOG: Final = 256
_PAUSE_SECONDS: Final = 0.1

log = logging.getLogger(__name__)


class Connections:
    """All connections of a server.

    Args:
        most: how many there may be at the same time.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._open: set[_Guarded] = set()
        self._waiting: dict[_Guarded, None] = {}
        """Connections that may be closed, the one that has waited longest first."""

    def header_has_come(self, transport: asyncio.BaseTransport | None) -> None:
        """Note that the header of a request has arrived, and the request is being handled."""
        if (connection := self._of(transport)) is not None:
            connection.stop_waiting_for_header()

    def is_needed(self, transport: asyncio.BaseTransport | None) -> None:
        """Note that its request has a valid token: until the answer the connection is not closed in favor of others."""
        if (connection := self._of(transport)) is not None:
            self._waiting.pop(connection, None)

    def is_done(self, transport: asyncio.BaseTransport | None) -> None:
        """Note that a request was answered, or that a WebSocket was closed."""
        if (connection := self._of(transport)) is not None and connection in self._open:
            connection.wait_for_next()
            self._waiting[connection] = None

    def opened(self, connection: "_Guarded") -> None:
        """Add a new connection; beyond the limit another one, or this one, is closed."""
        self._open.add(connection)
        self._waiting[connection] = None
        if len(self._open) > self._most:
            longest = next(iter(self._waiting))
            self.closed(longest)  # now, because connection_lost is called in a later iteration of the event loop
            longest.close()

    def closed(self, connection: "_Guarded") -> None:
        """Forget a connection."""
        self._open.discard(connection)
        self._waiting.pop(connection, None)

    def _of(self, transport: asyncio.BaseTransport | None) -> "_Guarded | None":
        protocol = cast("asyncio.Transport", transport).get_protocol() if transport is not None else None
        return protocol if isinstance(protocol, _Guarded) else None


class _Guarded(asyncio.Protocol):
    """Wraps the protocol of one connection, and counts and times it from the moment it is accepted."""

    def __init__(self, inner: asyncio.Protocol, connections: Connections) -> None:
        self._inner = inner
        self._connections = connections
        self._transport: asyncio.Transport | None = None
        self._handshake: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._is_handling = False

    def begin(self, accepted: socket.socket, context: ssl.SSLContext | None) -> None:
        """Start an accepted connection; with `context` it starts with the TLS handshake."""
        self._wait_for_header()
        self._handshake = asyncio.get_running_loop().create_task(self._take(accepted, context))
        self._connections.opened(self)

    async def _take(self, accepted: socket.socket, context: ssl.SSLContext | None) -> None:
        timeout = HANDSHAKE_SECONDS if context is not None else None
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: self, accepted, ssl=context, ssl_handshake_timeout=timeout
            )
        except (OSError, asyncio.CancelledError):  # also if the client does not use TLS
            accepted.close()
            self._end()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._inner.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        if not self._is_handling and self._timer is None:
            self._wait_for_header()
        self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        return self._inner.eof_received()

    def pause_writing(self) -> None:
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        self._inner.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end()
        self._inner.connection_lost(exc)

    def close(self) -> None:
        """Close the connection at once, without sending pending data."""
        if self._transport is not None:
            self._transport.abort()
        elif self._handshake is not None:
            self._handshake.cancel()

    def stop_waiting_for_header(self) -> None:
        """Note that the header has arrived."""
        self._is_handling = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def wait_for_next(self) -> None:
        """Note that a request was answered; if no other one follows, aiohttp closes the connection."""
        self._is_handling = False

    def _wait_for_header(self) -> None:
        self._is_handling = False
        self._timer = asyncio.get_running_loop().call_later(HEADER_SECONDS, self.close)

    def _end(self) -> None:
        self.stop_waiting_for_header()
        self._connections.closed(self)


async def serve(
    stack: AsyncExitStack,
    runner: web.AppRunner,
    listen: str,
    connections: Connections,
    context: ssl.SSLContext | None = None,
) -> str:
    """Serve at `listen` (host:port) until the stack is closed; return the address in use.

    Raises:
        OSError: the address cannot be used.
    """
    host, _, port = listen.rpartition(":")
    protocol = cast("Callable[[], asyncio.Protocol]", runner.server)
    listening = _listen(host.strip("[]"), int(port))
    for each in listening:
        stack.callback(each.close)
        accepting = asyncio.create_task(_accept(each, lambda: _Guarded(protocol(), connections), context))
        stack.push_async_callback(_end, accepting)
    address = listening[0].getsockname()
    return f"{address[0]}:{address[1]}"


def _listen(host: str, port: int) -> list[socket.socket]:
    """Listen on all addresses of a host; without a host, on all of this machine, if possible IPv4 and IPv6."""
    if not host:
        both = socket.has_dualstack_ipv6()
        family = socket.AF_INET6 if both else socket.AF_INET
        listening = [socket.create_server(("", port), family=family, backlog=_BACKLOG, dualstack_ipv6=both)]
    else:
        found = dict.fromkeys(
            (info[0], info[4][:2]) for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        )
        listening = [socket.create_server(address, family=family, backlog=_BACKLOG) for family, address in found]
    for each in listening:
        each.setblocking(False)
    return listening


async def _accept(listening: socket.socket, connection: Callable[[], _Guarded], context: ssl.SSLContext | None) -> None:
    while True:
        try:
            accepted, _ = await asyncio.get_running_loop().sock_accept(listening)
        except OSError as error:
            # The client has already disconnected, or this process has no file descriptor left.
            log.warning("cannot accept a connection: %s", error)
            await asyncio.sleep(_PAUSE_SECONDS)
            continue
        accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection().begin(accepted, context)


async def _end(task: "asyncio.Task[None]") -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
