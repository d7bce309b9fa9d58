"""A gateway in this process, before an API server that knows users and rights and a few objects, and counts."""

import json
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from podrelay.gateway.access import Access
from podrelay.gateway.apiclient import CountingClient
from podrelay.gateway.cache import Cache
from podrelay.gateway.call import Limits, Services
from podrelay.gateway.schema.build import build
from podrelay.gateway.server import ServerOptions, application
from podrelay.gateway.shapes import DocumentLimits
from podrelay.kube.config import Connection


@dataclass
class Watch:
    """Tells the cache whether it is current."""

    broken_since: float | None = None


@dataclass
class ApiServer:
    """What the gateway asks: who somebody is, what they may do, and the objects themselves.

    Attributes:
        rights: user -> verb and resource that they have, everywhere.
        objects: path -> object.
        seen: method, path and user of each request.
        is_down: answer 503 to everything.
    """

    rights: dict[str, set[str]] = field(default_factory=dict)
    objects: dict[str, Any] = field(default_factory=dict)
    seen: list[tuple[str, str, str]] = field(default_factory=list)
    is_down: bool = False

    async def handle(self, request: web.Request) -> web.Response:
        user = request.headers.get("Authorization", "").removeprefix("Bearer ")
        self.seen.append((request.method, request.path, user))
        if self.is_down:
            return web.json_response({"message": "down"}, status=503)
        if user not in self.rights:
            return web.json_response({"reason": "Unauthorized"}, status=401)
        if request.path.endswith("/selfsubjectreviews"):
            return web.json_response({"status": {"userInfo": {"username": user}}})
        body = json.loads(await request.text() or "{}")
        if request.path.endswith("/selfsubjectaccessreviews"):
            wanted = body["spec"]["resourceAttributes"]
            allowed = f"{wanted['verb']} {wanted['resource']}" in self.rights[user]
            return web.json_response({"status": {"allowed": allowed}})
        return self._object(request, body)

    def _object(self, request: web.Request, body: Any) -> web.Response:
        if request.method == "POST":
            about = {"uid": "u", "resourceVersion": "1", "creationTimestamp": "2026-11-24T12:00:00Z"}
            return web.json_response(body | {"metadata": body["metadata"] | about}, status=201)
        if request.path not in self.objects:
            return web.json_response({"reason": "NotFound", "message": "not found"}, status=404)
        return web.json_response(self.objects[request.path])

    def asked(self, part: str) -> int:
        """How often a path with this in it was asked for."""
        return sum(part in path for _, path, _ in self.seen)


@dataclass
class Clock:
    """Time as the gateway sees it, in seconds."""

    time: float = 0.0


@dataclass
class Gateway:
    """The gateway and what is around it."""

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

EVERYTHING = {
    f"{verb} {kind}"
    for verb in ("get", "list", "watch", "create", "patch", "delete")
    for kind in ("taskruns", "taskdefinitions", "taskiterations")
}


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    """Start a gateway with these options."""
    stack: list[Any] = []

    async def start(
        options: ServerOptions | None = None,
        limits: Limits | None = None,
        documents: DocumentLimits | None = None,
        token_of_its_own: bool = False,
        pages: Iterable[web.RouteDef] = (),
    ) -> Gateway:
        api = ApiServer(rights={"alice": set(EVERYTHING), "bob": set()})
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
        app = application(
            build(documents or DocumentLimits()),
            Services(cache, access, limits or Limits()),
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
    """A gateway with the usual options."""
    started: Gateway = await start()
    return started
