"""Requests as the API server receives them, with a real server on this machine."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web

from podrelay.kube.api import JSON_PATCH
from podrelay.kube.client import Client
from podrelay.kube.config import Connection
from podrelay.kube.errors import AlreadyExistsError, ApiError, NotFoundError, TransportError
from podrelay.kube.resources import LEASES, PODS, Resource

RUNS = Resource("podrelay.dev", "v1alpha1", "taskruns")


@dataclass
class Seen:
    method: str
    path: str
    body: Any
    content_type: str | None
    authorization: str | None


@dataclass
class Server:
    """Records each request, and responds with the result of `answer`."""

    seen: list[Seen] = field(default_factory=list)
    in_flight: int = 0
    most_in_flight: int = 0
    busy: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when it has received as many requests as a client has in flight at most."""
    url: str = ""
    answer: Callable[[web.Request], Awaitable[web.StreamResponse]] | None = None

    async def handle(self, request: web.Request) -> web.StreamResponse:
        text = await request.text()
        body = json.loads(text) if text else None
        headers = request.headers
        self.seen.append(
            Seen(request.method, request.path_qs, body, headers.get("Content-Type"), headers.get("Authorization"))
        )
        self.in_flight += 1
        self.most_in_flight = max(self.in_flight, self.most_in_flight)
        if len(self.seen) >= 16:
            self.busy.set()
        try:
            return await self.answer(request) if self.answer else web.json_response({"ok": True})
        finally:
            self.in_flight -= 1


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    server = Server()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", server.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield server
    await runner.cleanup()


@pytest.fixture
async def client(server: Server) -> AsyncIterator[Client]:
    connection = Connection(server.url, None, lambda: "t0ken", "default")
    async with Client(connection) as client:
        yield client


@pytest.mark.parametrize(
    ("resource", "arguments", "path"),
    [
        (PODS, (), "/api/v1/pods"),
        (PODS, ("shop",), "/api/v1/namespaces/shop/pods"),
        (PODS, ("shop", "a"), "/api/v1/namespaces/shop/pods/a"),
        (LEASES, ("shop", "l"), "/apis/coordination.k8s.io/v1/namespaces/shop/leases/l"),
        (RUNS, ("shop", "a", "status"), "/apis/podrelay.dev/v1alpha1/namespaces/shop/taskruns/a/status"),
        (RUNS, (), "/apis/podrelay.dev/v1alpha1/taskruns"),
    ],
)
def test_each_resource_has_its_path(resource: Resource, arguments: tuple[str, ...], path: str) -> None:
    assert resource.path(*arguments) == path


async def test_an_object_is_read(client: Client, server: Server) -> None:
    assert json.loads(await client.get(PODS, "shop", "a")) == {"ok": True}
    assert server.seen == [Seen("GET", "/api/v1/namespaces/shop/pods/a", None, None, "Bearer t0ken")]


async def test_an_object_is_created_also_as_a_dry_run(client: Client, server: Server) -> None:
    await client.create(PODS, "shop", {"a": None})
    await client.create(PODS, "shop", {}, dry_run=True)

    assert (server.seen[0].method, server.seen[0].path, server.seen[0].body) == (
        "POST",
        "/api/v1/namespaces/shop/pods",
        {"a": None},
    )
    assert server.seen[1].path.endswith("/pods?dryRun=All")


async def test_patches_have_their_content_type(client: Client, server: Server) -> None:
    await client.patch(PODS, "shop", "a", {})
    await client.patch(RUNS, "shop", "a", [], subresource="status", content_type=JSON_PATCH)

    assert [seen.content_type for seen in server.seen] == [
        "application/merge-patch+json",
        "application/json-patch+json",
    ]
    assert server.seen[1].path.endswith("/taskruns/a/status")


@pytest.mark.parametrize("version", [None, "7"])
async def test_deletions_have_their_preconditions(client: Client, server: Server, version: str | None) -> None:
    await client.delete(PODS, "shop", "a", uid="u", resource_version=version)

    body = server.seen[0].body
    assert body["preconditions"] == ({"uid": "u"} if version is None else {"uid": "u", "resourceVersion": "7"})
    assert "gracePeriodSeconds" not in body


async def test_rejections_are_raised_with_their_class_and_retry_after(client: Client, server: Server) -> None:
    async def refuse(_: web.Request) -> web.Response:
        return web.json_response({"reason": "TooManyRequests"}, status=429, headers={"Retry-After": "3"})

    server.answer = refuse

    with pytest.raises(ApiError) as caught:
        await client.get(PODS, "shop", "a")
    assert (caught.value.status, caught.value.retry_after) == (429, 3)
    assert len(server.seen) == 1, "the client does not retry"


@pytest.mark.parametrize(
    ("status", "reason", "kind"), [(404, "NotFound", NotFoundError), (409, "AlreadyExists", AlreadyExistsError)]
)
async def test_rejections_have_their_class(
    client: Client, server: Server, status: int, reason: str, kind: type[ApiError]
) -> None:
    async def refuse(_: web.Request) -> web.Response:
        return web.json_response({"reason": reason}, status=status)

    server.answer = refuse

    with pytest.raises(kind):
        await client.create(PODS, "shop", {})


async def test_a_timeout_is_an_error(client: Client, server: Server) -> None:
    async def silent(_: web.Request) -> web.Response:
        await asyncio.Event().wait()
        raise AssertionError

    server.answer = silent

    with pytest.raises(TimeoutError):
        await client.request("GET", "/x", timeout_seconds=0.05)


async def test_an_unreachable_server_is_an_error() -> None:
    async with Client(Connection("http://127.0.0.1:1", None, lambda: None, "default")) as client:
        with pytest.raises(TransportError):
            await client.get(PODS, "shop", "a")
        with pytest.raises(TransportError):
            await anext(client.stream("/watch", {}, 5))


async def test_at_most_16_requests_are_in_flight(client: Client, server: Server) -> None:
    # given a server that does not respond before 16 requests have arrived
    full, go_on = asyncio.Event(), asyncio.Event()

    async def wait(_: web.Request) -> web.Response:
        if server.in_flight >= 16:
            full.set()
        await go_on.wait()
        return web.json_response({})

    server.answer = wait
    requests = [asyncio.create_task(client.get(PODS, "shop", str(number))) for number in range(40)]
    await full.wait()

    # when
    go_on.set()
    await asyncio.gather(*requests)

    # then
    assert server.most_in_flight == 16
    assert len(server.seen) == 40


async def test_no_waiting_request_starves(client: Client, server: Server) -> None:
    # given 16 workers that repeat their requests immediately
    async def work() -> None:
        while True:
            await client.get(PODS, "shop", "a")

    workers = [asyncio.create_task(work()) for _ in range(16)]
    await asyncio.wait_for(server.busy.wait(), 10)

    # when
    async with asyncio.timeout(2):
        await client.get(LEASES, "shop", "leader")

    # then it got a response
    for worker in workers:
        worker.cancel()
    await asyncio.gather(*workers, return_exceptions=True)


async def test_the_timeout_of_a_request_includes_the_wait_for_a_connection(client: Client, server: Server) -> None:
    never = asyncio.Event()

    async def wait(_: web.Request) -> web.Response:
        await never.wait()
        return web.json_response({})

    server.answer = wait
    others = [asyncio.create_task(client.get(PODS, "shop", str(number))) for number in range(16)]
    await asyncio.wait_for(server.busy.wait(), 10)
    with pytest.raises(TimeoutError):
        await client.request("GET", "/late", timeout_seconds=0.1)
    assert all(seen.path != "/late" for seen in server.seen)
    for other in others:
        other.cancel()
    await asyncio.gather(*others, return_exceptions=True)


async def test_lines_of_a_watch_may_be_longer_than_any_buffer(client: Client, server: Server) -> None:
    lines = [b"x" * 900_000, b"short", b"y" * 70_000]

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"\n".join(lines[:2]))
        await response.write(b"\n" + lines[2] + b"\n\n")
        return response

    server.answer = answer

    assert [line async for line in client.stream("/watch", {"watch": "true"}, 5)] == lines


async def test_an_interrupted_watch_is_an_error(client: Client, server: Server) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"one\n")
        assert request.transport is not None
        request.transport.abort()
        return response

    server.answer = answer
    lines = client.stream("/watch", {}, 5)

    assert await anext(lines) == b"one"
    with pytest.raises(TransportError):
        await anext(lines)


async def test_a_silent_watch_times_out(client: Client, server: Server) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"one\n")
        await asyncio.Event().wait()
        return response

    server.answer = answer
    lines = client.stream("/watch", {}, 0.05)

    assert await anext(lines) == b"one"
    with pytest.raises(TimeoutError):
        await anext(lines)


async def test_a_rejected_watch_is_an_error(client: Client, server: Server) -> None:
    async def refuse(_: web.Request) -> web.Response:
        return web.json_response({"reason": "Expired"}, status=410)

    server.answer = refuse

    with pytest.raises(ApiError) as caught:
        await anext(client.stream("/watch", {}, 5))
    assert caught.value.status == 410


async def test_a_credential_plugin_runs_in_a_thread(server: Server) -> None:
    threads = []

    def token() -> str:
        import threading

        threads.append(threading.current_thread() is threading.main_thread())
        return "slow"

    connection = Connection(server.url, None, token, "default", token_blocks=True)
    async with Client(connection) as client:
        await client.get(PODS, "shop", "a")

    assert server.seen[0].authorization == "Bearer slow"
    assert threads == [False]


async def test_a_strict_create_requests_the_rejection_of_unknown_fields(client: Client, server: Server) -> None:
    await client.create(PODS, "shop", {}, dry_run=True, strict=True)

    assert server.seen[0].path.endswith("/pods?dryRun=All&fieldValidation=Strict")


async def test_with_a_limit_a_line_without_an_end_is_yielded_in_pieces(client: Client, server: Server) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"x" * 300_000 + b"\nend\n")
        return response

    server.answer = answer
    pieces = [piece async for piece in client.stream("/log", {}, 5, max_line=65_536)]

    assert len(pieces) > 2
    assert b"".join(pieces) == b"x" * 300_000 + b"end"


async def test_the_caller_is_notified_when_a_watch_opens_without_events(client: Client, server: Server) -> None:
    opened = asyncio.Event()

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await asyncio.Event().wait()
        return response

    server.answer = answer
    watching = asyncio.ensure_future(anext(client.stream("/watch", {}, 5, opened=opened.set)))

    await asyncio.wait_for(opened.wait(), 5)
    watching.cancel()


async def test_requests_on_behalf_of_a_user_have_only_that_token(client: Client, server: Server) -> None:
    await client.on_behalf_of("of-alice").get(PODS, "shop", "a")
    await client.get(PODS, "shop", "b")

    assert [seen.authorization for seen in server.seen] == ["Bearer of-alice", "Bearer t0ken"]
