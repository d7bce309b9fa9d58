"""Connections for short requests: HTTP/1.1, kept alive, one request at a time on each. llhttp does the parsing.

aiohttp needed half of the CPU time of a request for features that the API server does not need: redirects, cookies,
proxies, compression, a task for each body (docs/decisions/0008-own-connections.md). Watches still use aiohttp.
"""

import asyncio
import ssl
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, cast
from urllib.parse import urlsplit

import httptools

from podrelay.kube.errors import AnswerTooLargeError, TransportError

IDLE_SECONDS: Final = 60.0
"""A connection that was idle for longer is not reused: the server, or a proxy in front of it, may be closing it."""


CONNECT_SECONDS: Final = 5.0
"""Timeout of connecting, including the TLS handshake; the caller sets the timeout of the response."""


LARGEST_ANSWER: Final = 32 * 1024 * 1024
"""Maximum size of a body. No object has a tenth of it; if a page of a list is larger, request a smaller page."""

_DISCONNECTED: Final = "the server has closed the connection"


@dataclass(frozen=True, slots=True)
class Answer:
    """The response of a server."""

    status: int
    body: bytes
    retry_after: str | None
    date: str | None = None


class Connections:
    """Connections to one server.

    Args:
        server: its URL; if it has a path, that is a prefix of the path of every request.
        tls: the TLS configuration if the URL is https.
    """

    def __init__(self, server: str, tls: ssl.SSLContext | bool) -> None:
        url = urlsplit(server)
        self._host, self._is_tls = url.hostname or "", url.scheme == "https"
        self._port = url.port or (443 if self._is_tls else 80)
        self._tls = tls if self._is_tls else None
        self._prefix = url.path.rstrip("/")
        self._authority = url.netloc.rpartition("@")[2]
        self._idle: list[_Exchange] = []

    async def send(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes = b"",
        further: Iterable[tuple[str, str]] = (),
    ) -> Answer:
        """Send one request; the caller sets the timeout. Cancelling it closes the connection.

        Args:
            method: the HTTP method.
            target: path and query, quoted.
            headers: all headers except Host and Content-Length.
            body: the request body.
            further: headers whose names may be repeated.

        Raises:
            TransportError: no connection, a lost one, or invalid HTTP. The server may have received the request.
            AnswerTooLargeError: the body has more than LARGEST_ANSWER bytes.
            ValueError: a path or header contains control characters, such as a line break.
        """
        lines = [f"{method} {self._prefix}{target} HTTP/1.1", f"Host: {self._authority}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        lines += [f"{name}: {value}" for name, value in further]
        if body:
            lines.append(f"Content-Length: {len(body)}")
        if not all(map(str.isprintable, lines)):
            raise ValueError("control characters in a path or header of a request")
        exchange = self._take() or await self._connect()
        try:
            answer = await exchange.ask("\r\n".join([*lines, "", ""]).encode() + body)
        except BaseException:
            exchange.close()  # a late response must not be taken for that of the next request
            raise
        if exchange.is_open:
            self._idle.append(exchange)
        return answer

    def close(self) -> None:
        """Close all idle connections."""
        while self._idle:
            self._idle.pop().close()

    def _take(self) -> "_Exchange | None":
        oldest = asyncio.get_running_loop().time() - IDLE_SECONDS
        while self._idle:
            exchange = self._idle.pop()
            if exchange.is_open and exchange.idle_since >= oldest:
                return exchange
            exchange.close()
        return None

    async def _connect(self) -> "_Exchange":
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                _, exchange = await loop.create_connection(_Exchange, self._host, self._port, ssl=self._tls)
        except OSError as error:
            why = str(error) or f"no connection within {CONNECT_SECONDS:g} s"
            raise TransportError(f"cannot connect to {self._authority}: {why}") from error
        return exchange


class _Exchange(asyncio.Protocol):
    """One connection: a request, its response, the next request."""

    def __init__(self) -> None:
        self.idle_since = 0.0
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[Answer] | None = None

    @property
    def is_open(self) -> bool:
        """Whether another request can be sent."""
        return self._transport is not None and not self._transport.is_closing()

    def close(self) -> None:
        """Close the connection, also during a request."""
        if self._transport is not None:
            self._transport.abort()

    async def ask(self, request: bytes) -> Answer:
        """Send a request and wait for its response.

        Raises:
            TransportError: the connection was lost, or the response is not HTTP.
            AnswerTooLargeError: the body has more than LARGEST_ANSWER bytes.
        """
        self._answer = self._loop.create_future()
        self._parser = httptools.HttpResponseParser(self)
        self._body: list[bytes] = []
        self._received = 0
        self._retry_after: str | None = None
        self._date: str | None = None
        if self._transport is None:
            raise TransportError(_DISCONNECTED)
        self._transport.write(request)
        return await self._answer

    # --- called by the loop -------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's transports are not subclasses

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        self._fail(TransportError(str(error) if error else _DISCONNECTED))

    def data_received(self, data: bytes) -> None:
        if self._answer is None or self._answer.done():
            self.close()  # data without a request could be taken for the next response
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fail(TransportError(f"invalid HTTP: {error}"))
            self.close()

    def _fail(self, error: TransportError | AnswerTooLargeError) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)

    # --- called by the parser -----------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """Close the connection if a second response follows."""
        if self._answer is None or self._answer.done():
            self.close()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Process one header."""
        match name.lower():
            case b"retry-after":
                self._retry_after = value.decode("latin-1")
            case b"date":
                self._date = value.decode("latin-1")

    def on_body(self, part: bytes) -> None:
        """Process a part of the body."""
        self._received += len(part)
        if self._received > LARGEST_ANSWER:
            self._body.clear()
            self._fail(AnswerTooLargeError(f"the answer has more than {LARGEST_ANSWER} bytes"))
            self.close()
            return
        self._body.append(part)

    def on_message_complete(self) -> None:
        """Pass the response to the waiting caller."""
        assert self._answer is not None  # noqa: S101 - the parser is used only during a request
        status = self._parser.get_status_code()
        if status < 200 or self._answer.done():
            return  # 1xx: the final response follows
        if not self._parser.should_keep_alive() and self._transport is not None:
            self._transport.close()
        self.idle_since = self._loop.time()
        self._answer.set_result(Answer(status, b"".join(self._body), self._retry_after, self._date))
