"""A gateway in this process, with a fake API server that has users, rights and a few objects, and counts requests."""

import copy
import functools
import json
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from podrelay.gateway.access import Access
from podrelay.gateway.apiclient import CountingClient
from podrelay.gateway.cache import Cache
from podrelay.gateway.call import Limits, Services
from podrelay.gateway.documents.reader import Reader
from podrelay.gateway.documents.shapes import DocumentLimits
from podrelay.gateway.http.server import ServerOptions, application
from podrelay.gateway.schema.build import Schema, build
from podrelay.gateway.schema.document_extension import Reading
from podrelay.kube.config import Connection
from tests.support.gatewayapi import EVERYTHING, ApiServer, Clock, Watch


@dataclass
class Gateway:
    """The gateway, its parts, and the fake API server."""

    api: ApiServer
    cache: Cache
    access: Access
    watch: Watch
    client: TestClient[Any, Any]
    clock: Clock

    async def post(self, body: Any, token: str | None = "alice", **headers: str) -> aiohttp.ClientResponse:
        """Send a request."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        authorization = {"Authorization": f"Bearer {token}"} if token else {}
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return await self.client.post(
            "/graphql", data=data, headers={"Content-Type": "application/json"} | authorization | named
        )

    async def ask(self, document: str, token: str = "alice", **variables: Any) -> Any:
        """Send a document and return the whole answer."""
        response = await self.post({"query": document, "variables": variables}, token)
        assert response.status == 200, await response.text()
        return await response.json()


Start = Callable[..., Any]

_built = functools.cache(build)


def schema(limits: DocumentLimits) -> Schema:
    """Return the schema with a reader of its own, which caches documents.

    Building the types takes longer than most tests, and they do not change.
    """
    found = copy.copy(_built(limits))
    reader = Reader(found.core, limits)
    # The extension that `build` adds at the end has the reader of the first gateway.
    found.extensions = (*found.extensions[:-1], lambda: Reading(reader))
    return found


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    """Return a function that starts a gateway with given options."""
    stack: list[Any] = []

    async def start(
        options: ServerOptions | None = None,
        limits: Limits | None = None,
        documents: DocumentLimits | None = None,
        token_of_its_own: bool = False,
        pages: Iterable[web.RouteDef] = (),
        api: ApiServer | None = None,
    ) -> Gateway:
        api = api or ApiServer(rights={"alice": set(EVERYTHING), "bob": set()})
        backend = web.Application()
        backend.router.add_route("*", "/{path:.*}", api.handle)
        server = TestServer(backend)
        await server.start_server()
        stack.append(server.close)
        connection = Connection(str(server.make_url("")).rstrip("/"), None, lambda: None, "default")
        client = await CountingClient(connection).__aenter__()
        stack.append(lambda: client.__aexit__(None, None, None))
        cache, watch, clock = Cache(), Watch(), Clock()
        cache.watches.append(watch)
        access = Access(
            None if token_of_its_own else client,
            client.on_behalf_of("alice"),
            lambda: cache.is_stale,
            lambda: clock.time,
        )
        services = Services(cache, access, limits or Limits())
        stack.append(services.checker.close)
        app = application(
            schema(documents or DocumentLimits()),
            services,
            options or ServerOptions("shop"),
            lambda: True,
            pages,
        )
        front = TestClient(TestServer(app))
        await front.start_server()
        stack.append(front.close)
        return Gateway(api, cache, access, watch, front, clock)

    yield start
    for close in reversed(stack):
        await close()


@pytest.fixture
async def gateway(start: Start) -> Gateway:
    """A gateway with default options."""
    started: Gateway = await start()
    return started
