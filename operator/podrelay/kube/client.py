"""Requests to the API server: JSON in, bytes out, errors typed, nothing retried.

Whoever calls decides what an error means; a blind retry here could repeat a write that the caller would not want
any more. Bodies come back as bytes, so that each caller decodes just what it needs.
"""

import asyncio
import copy
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlencode

import aiohttp
import orjson

from podrelay.kube import errors
from podrelay.kube.api import REQUEST_TIMEOUT_SECONDS, WRITE_TIMEOUT_SECONDS, Api
from podrelay.kube.config import Connection
from podrelay.kube.connections import Connections
from podrelay.kube.places import Places

MAX_IN_FLIGHT = 16
MAX_SLOW = 128
"""Requests whose answers take longer than a second, beside those."""


class Client(Api):
    """One API server, at most 16 requests at a time, in the order in which they are asked for.

    A request that waits longer than a second for its answer no longer counts: slow admission of some keeps nobody else
    waiting. Watches have connections of their own. Use it as an asynchronous context manager.

    Args:
        connection: where the API server is.
        user_agent: who asks.
        max_in_flight: how many requests at a time.
        write_timeout_seconds: how long writes may take, admission included.
    """

    def __init__(
        self,
        connection: Connection,
        user_agent: str = "podrelay",
        *,
        max_in_flight: int = MAX_IN_FLIGHT,
        write_timeout_seconds: float = WRITE_TIMEOUT_SECONDS,
    ) -> None:
        self.connection = connection
        self._ssl: ssl.SSLContext | bool = connection.ssl_context or True
        self._headers = {"User-Agent": user_agent, "Accept": "application/json"}
        # In this order: a worker that comes back at once must not overtake whoever waits, without end. Sixteen busy
        # workers once kept the Lease from being renewed.
        self._places = Places(max_in_flight, slow=MAX_SLOW)
        self._write_timeout = write_timeout_seconds
        self._name: Callable[[], Awaitable[Sequence[tuple[str, str]]]] | None = None

    async def __aenter__(self) -> Self:
        self._requests = Connections(self.connection.server, self._ssl)
        connector = aiohttp.TCPConnector(limit=0, ssl=self._ssl, keepalive_timeout=60)
        self._watches = aiohttp.ClientSession(
            connector=connector, headers=self._headers, auto_decompress=True, cookie_jar=aiohttp.DummyCookieJar()
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._requests.close()
        await self._watches.close()

    def on_behalf_of(self, token: str) -> Self:
        """Return this client with the token of somebody else; it shares the connections and ends with them."""
        other = copy.copy(self)
        other.connection = replace(self.connection, token=lambda: token, token_blocks=False)
        return other

    def in_the_name_of(self, name: Callable[[], Awaitable[Sequence[tuple[str, str]]]]) -> Self:
        """Return this client impersonating somebody; it shares the connections and ends with them.

        Args:
            name: returns the headers that say whom. Whatever it raises keeps a request from being sent.
        """
        other = copy.copy(self)
        other._name = name
        return other

    async def request(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        params: dict[str, str] | None = None,
        content_type: str = "application/json",
        timeout_seconds: float | None = None,
        before: Callable[[], None] = lambda: None,
    ) -> bytes:
        """Send one request, as `Api.request` says; at first it waits for its turn."""
        headers = self._headers | await self._authorization()
        further = await self._name() if self._name is not None else ()
        data = b""
        if body is not None:
            data = orjson.dumps(body)
            headers["Content-Type"] = content_type
        target = f"{path}?{urlencode(params)}" if params else path  # names of Kubernetes need no quoting
        if timeout_seconds is None:
            timeout_seconds = REQUEST_TIMEOUT_SECONDS if method == "GET" else self._write_timeout
        async with asyncio.timeout(timeout_seconds):
            await self._places.acquire()
            with self._places.occupied():
                before()
                answer = await self._requests.send(method, target, headers, data, further)
        if answer.status >= 400:
            raise errors.from_response(answer.status, answer.body, answer.retry_after)
        return answer.body

    async def stream(
        self,
        path: str,
        params: dict[str, str],
        silence_seconds: float,
        *,
        opened: Callable[[], None] | None = None,
        max_line: int | None = None,
    ) -> AsyncIterator[bytes]:
        """Yield the lines of a watch, or of a log, until the server ends it.

        Args:
            path: what to read.
            params: of the URL.
            silence_seconds: how long nothing may come.
            opened: called once the server has agreed, which may be long before the first line.
            max_line: longer lines come in pieces, so that one without an end takes no memory; None for watches.

        Raises:
            ApiError: the API server refused the watch.
            TimeoutError: nothing came for `silence_seconds`.
            TransportError: the connection failed.
        """
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=REQUEST_TIMEOUT_SECONDS, sock_read=silence_seconds)
        url = self.connection.server + path
        headers = [*(await self._authorization()).items(), *(await self._name() if self._name is not None else ())]
        try:
            async with self._watches.get(url, params=params, headers=headers, timeout=timeout) as response:
                if response.status >= 400:
                    retry_after = response.headers.get("Retry-After")
                    raise errors.from_response(response.status, await response.read(), retry_after)
                if opened is not None:
                    opened()
                # StreamReader.readline() refuses lines beyond its buffer, and a record has up to 700 KiB.
                pending = b""
                async for chunk in response.content.iter_any():
                    *lines, pending = (pending + chunk).split(b"\n")
                    for line in lines:
                        if line:
                            yield line
                    if max_line is not None and len(pending) > max_line:
                        yield pending
                        pending = b""
        except TimeoutError:  # of aiohttp's, too, which are both
            raise
        except aiohttp.ClientError as error:
            raise errors.TransportError(str(error) or type(error).__name__) from error

    async def _authorization(self) -> dict[str, str]:
        token = self.connection.token
        # A credential plugin may take seconds, which the loop must not wait for; a thread for each request costs 50 us.
        value = await asyncio.to_thread(token) if self.connection.token_blocks else token()
        return {"Authorization": f"Bearer {value}"} if value else {}
