"""Requests to the API server: JSON in, bytes out, typed exceptions, no retries.

The caller decides how to handle an error; a retry here could repeat a write that the caller no longer wants. Bodies are
returned as bytes, so that each caller decodes only what it needs.
"""

import asyncio
import copy
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any, Self
from urllib.parse import urlencode

import aiohttp
import orjson

from podrelay.kube import errors
from podrelay.kube.api import REQUEST_TIMEOUT_SECONDS, WRITE_TIMEOUT_SECONDS, Api
from podrelay.kube.config import Connection
from podrelay.kube.connections import Connections
from podrelay.kube.request_semaphore import Places

MAX_IN_FLIGHT = 16
MAX_SLOW = 128
"""Additional requests that may be in flight because their responses take longer than a second."""


class Client(Api):
    """A client for one API server: at most 16 requests at a time, in the order of the calls.

    A request that waits longer than a second for its response no longer counts, so that slow admission does not block
    other requests. Watches have separate connections. Use it as an asynchronous context manager.

    Args:
        connection: the configuration of the connection.
        user_agent: the User-Agent header.
        max_in_flight: maximum number of concurrent requests.
        write_timeout_seconds: timeout of writes, including admission.
        dated: called with the Date header of each response, and the seconds since its request was sent.
    """

    def __init__(
        self,
        connection: Connection,
        user_agent: str = "podrelay",
        *,
        max_in_flight: int = MAX_IN_FLIGHT,
        write_timeout_seconds: float = WRITE_TIMEOUT_SECONDS,
        dated: Callable[[str, float], None] = lambda _date, _seconds: None,
    ) -> None:
        self.connection = connection
        self._ssl: ssl.SSLContext | bool = connection.ssl_context or True
        self._headers = {"User-Agent": user_agent, "Accept": "application/json"}
        # First in, first out: workers that return at once must not overtake waiting requests again and again. Sixteen
        # busy workers once prevented the renewal of the Lease.
        self._places = Places(max_in_flight, slow=MAX_SLOW)
        self._write_timeout = write_timeout_seconds
        self._dated = dated
        self._name: Callable[[], Awaitable[Sequence[tuple[str, str]]]] | None = None

    async def __aenter__(self) -> Self:
        self._requests = Connections(self.connection.server, self._ssl)
        connector = aiohttp.TCPConnector(limit=0, ssl=self._ssl, keepalive_timeout=60)
        self._watches = aiohttp.ClientSession(
            connector=connector, headers=self._headers, auto_decompress=True, cookie_jar=aiohttp.DummyCookieJar()
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        self._requests.close()
        await self._watches.close()

    def on_behalf_of(self, token: str) -> Self:
        """Return a client with another user's token; it shares the connections of this client, and closes with it."""
        other = copy.copy(self)
        other.connection = replace(self.connection, token=lambda: token, token_blocks=False)
        return other

    def in_the_name_of(self, name: Callable[[], Awaitable[Sequence[tuple[str, str]]]]) -> Self:
        """Return a client that impersonates a user; it shares the connections of this client, and closes with it.

        Args:
            name: returns the impersonation headers. If it raises an exception, the request is not sent.
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
        """Send one request, as described in `Api.request`, after waiting for a free place."""
        headers = self._headers | await self._authorization()
        further = await self._name() if self._name is not None else ()
        data = b""
        if body is not None:
            data = orjson.dumps(body)
            headers["Content-Type"] = content_type
        target = f"{path}?{urlencode(params)}" if params else path  # names in Kubernetes need no quoting
        if timeout_seconds is None:
            timeout_seconds = REQUEST_TIMEOUT_SECONDS if method == "GET" else self._write_timeout
        async with asyncio.timeout(timeout_seconds):
            await self._places.acquire()
            with self._places.occupied():
                before()
                sent = time.monotonic()
                answer = await self._requests.send(method, target, headers, data, further)
        if answer.date is not None:
            self._dated(answer.date, time.monotonic() - sent)
        if answer.status >= 400:
            raise errors.from_response(answer.status, answer.body, answer.retry_after)
        return answer.body

    async def stream(
        self,
        path: str,
        params: dict[str, str],
        silence_seconds: float,
        *,
        opened: Callable[[], None] = lambda: None,
        max_line: int | None = None,
    ) -> AsyncIterator[bytes]:
        """Yield the lines of a watch, or of a log, until the server ends it.

        Args:
            path: the path of the URL.
            params: query parameters of the URL.
            silence_seconds: maximum time without any data.
            opened: called when the server has accepted the request, which may be long before the first line.
            max_line: yield longer lines in parts, so that an endless line does not use up memory; None for watches.

        Raises:
            ApiError: the API server rejected the request.
            TimeoutError: there was no data for `silence_seconds`.
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
                opened()
                # StreamReader.readline() rejects lines longer than its buffer, and a record has up to 700 KiB.
                pending = b""
                async for chunk in response.content.iter_any():
                    *lines, pending = (pending + chunk).split(b"\n")
                    for line in filter(None, lines):
                        yield line
                    if max_line is not None and len(pending) > max_line:
                        yield pending
                        pending = b""
        except TimeoutError:  # also for timeouts of aiohttp, which are ClientErrors as well
            raise
        except aiohttp.ClientError as error:
            raise errors.TransportError(str(error) or type(error).__name__) from error

    async def _authorization(self) -> dict[str, str]:
        token = self.connection.token
        # A credential plugin may take seconds and must not block the loop; a thread for each request would cost 50 us.
        value = await asyncio.to_thread(token) if self.connection.token_blocks else token()
        return {"Authorization": f"Bearer {value}"} if value else {}
