"""The client and the reflector against a small HTTP server that answers as the API server would."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import msgspec
import pytest
from aiohttp import web

from podrelay.kube.client import PODS, Client, Resource
from podrelay.kube.config import Connection
from podrelay.kube.errors import (
    AlreadyExistsError,
    ApiError,
    ConflictError,
    GoneError,
    InvalidError,
    NotFoundError,
    from_response,
)
from podrelay.kube.reflector import Reflector

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Server:
    """Answers each request by the next of its handlers, and remembers the requests."""

    def __init__(self) -> None:
        self.handlers: list[Handler] = []
        self.requests: list[tuple[str, str, dict[str, str], bytes]] = []

    def then(self, *handlers: Handler) -> None:
        self.handlers += handlers

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.requests.append((request.method, request.path, dict(request.query), await request.read()))
        if not self.handlers:
            await asyncio.Event().wait()
        return await self.handlers.pop(0)(request)


@pytest.fixture
async def server() -> AsyncIterator[tuple[Server, Client]]:
    made = Server()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", made.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    address = f"http://127.0.0.1:{runner.addresses[0][1]}"
    async with Client(Connection(address, None, lambda: "secret", "default")) as client:
        yield made, client
    await runner.cleanup()


def answer(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> Handler:
    async def handle(_: web.Request) -> web.StreamResponse:
        return web.json_response(body, status=status, headers=headers)

    return handle


def events(*lines: dict[str, Any]) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for line in lines:
            text = json.dumps(line).encode() + b"\n"
            half = len(text) // 2  # lines arrive in pieces
            await response.write(text[:half])
            await response.write(text[half:])
        return response

    return handle


# --- requests --------------------------------------------------------------------------------------------------------


def test_paths_of_core_and_of_other_groups() -> None:
    assert PODS.path("shop", "a") == "/api/v1/namespaces/shop/pods/a"
    assert PODS.path() == "/api/v1/pods"
    assert Resource("g.dev", "v1", "things").path("n", "a", "status") == "/apis/g.dev/v1/namespaces/n/things/a/status"


@pytest.mark.parametrize(
    ("status", "reason", "kind"),
    [
        (404, "NotFound", NotFoundError),
        (409, "AlreadyExists", AlreadyExistsError),
        (409, "Conflict", ConflictError),
        (410, "Expired", GoneError),
        (422, "Invalid", InvalidError),
        (403, "Forbidden", ApiError),
    ],
)
def test_refusals_by_status_and_reason(status: int, reason: str, kind: type[ApiError]) -> None:
    error = from_response(status, json.dumps({"reason": reason, "message": "why"}).encode(), None)

    assert type(error) is kind
    assert (error.status, error.api_reason, error.message) == (status, reason, "why")


def test_refusals_that_are_no_status_object_keep_their_words() -> None:
    error = from_response(502, b"<html>bad gateway</html>", "7")

    assert (error.message, error.retry_after, error.is_transient) == ("<html>bad gateway</html>", 7.0, True)


async def test_a_delete_carries_its_preconditions_and_the_token_goes_along(server: tuple[Server, Client]) -> None:
    made, client = server
    seen: dict[str, str] = {}

    async def handle(request: web.Request) -> web.StreamResponse:
        seen.update(request.headers)
        return web.json_response({})

    made.then(handle)
    await client.delete(PODS, "shop", "a", uid="u", resource_version="7")

    method, path, _, body = made.requests[0]
    assert (method, path) == ("DELETE", "/api/v1/namespaces/shop/pods/a")
    assert json.loads(body)["preconditions"] == {"uid": "u", "resourceVersion": "7"}
    assert seen["Authorization"] == "Bearer secret"


async def test_a_request_without_an_answer_ends_in_time(server: tuple[Server, Client]) -> None:
    _, client = server

    with pytest.raises(TimeoutError):
        await client.request("GET", "/slow", timeout_seconds=0.05)


# --- the reflector ---------------------------------------------------------------------------------------------------


class Meta(msgspec.Struct, rename="camel"):
    name: str
    resource_version: str


class Thing(msgspec.Struct):
    metadata: Meta


class Recorder:
    """A sink that remembers; `reached` is set when it has got `wanted` calls."""

    def __init__(self, wanted: int) -> None:
        self.calls: list[Any] = []
        self.wanted = wanted
        self.reached = asyncio.Event()

    def _note(self, *call: Any) -> None:
        self.calls.append(call)
        if len(self.calls) >= self.wanted:
            self.reached.set()

    def replace(self, objects: list[Thing], resource_version: str, namespace: str | None = None) -> None:
        self._note("replace", [thing.metadata.name for thing in objects], resource_version)

    def apply(self, obj: Thing) -> None:
        self._note("apply", obj.metadata.name)

    def remove(self, obj: Thing) -> None:
        self._note("remove", obj.metadata.name)


def thing(name: str, version: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "resourceVersion": version}}


def listing(version: str, *names: str, more: str = "") -> dict[str, Any]:
    return {"metadata": {"resourceVersion": version, "continue": more}, "items": [thing(n, "1") for n in names]}


async def reflect(server: tuple[Server, Client], wanted: int) -> tuple[list[Any], list[dict[str, str]]]:
    made, client = server
    sink = Recorder(wanted)
    reflector: Reflector[Thing] = Reflector(client, PODS, Thing, sink, selector="podrelay.dev/run")
    task = asyncio.create_task(reflector.run())
    async with asyncio.timeout(10):
        await sink.reached.wait()
        while made.handlers:  # noqa: ASYNC110 - the last of them may have nothing to tell the sink
            await asyncio.sleep(0.01)
    task.cancel()
    return sink.calls, [query for _, _, query, _ in made.requests]


async def test_it_lists_in_pages_and_then_watches(server: tuple[Server, Client]) -> None:
    server[0].then(
        answer(listing("5", "a", more="token")),
        answer(listing("5", "b")),
        events(
            {"type": "ADDED", "object": thing("c", "6")},
            {"type": "MODIFIED", "object": thing("a", "7")},
            {"type": "DELETED", "object": thing("b", "8")},
        ),
    )

    calls, queries = await reflect(server, 4)

    assert calls == [("replace", ["a", "b"], "5"), ("apply", "c"), ("apply", "a"), ("remove", "b")]
    assert queries[1]["continue"] == "token"
    assert queries[0]["labelSelector"] == "podrelay.dev/run"
    assert (queries[2]["watch"], queries[2]["resourceVersion"]) == ("true", "5")


async def test_it_resumes_where_a_bookmark_has_brought_it(server: tuple[Server, Client]) -> None:
    server[0].then(
        answer(listing("5")),
        events({"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "90"}}}),
        events({"type": "ADDED", "object": thing("a", "91")}),
    )

    calls, queries = await reflect(server, 2)

    assert calls[1:] == [("apply", "a")]
    assert queries[2]["resourceVersion"] == "90"


@pytest.mark.parametrize("as_event", [True, False], ids=["as an event", "as the answer"])
async def test_410_leads_to_a_new_list_that_tells_what_vanished(server: tuple[Server, Client], as_event: bool) -> None:
    gone = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"}
    server[0].then(
        answer(listing("5", "a")),
        events({"type": "ERROR", "object": gone}) if as_event else answer(gone, 410),
        answer(listing("9", "b")),
    )

    calls, _ = await reflect(server, 2)

    assert calls == [("replace", ["a"], "5"), ("replace", ["b"], "9")]


@pytest.mark.parametrize("status", [500, 429, 403])
async def test_no_refusal_ends_it(server: tuple[Server, Client], status: int) -> None:
    server[0].then(answer({"reason": "x", "message": "y"}, status), answer(listing("5", "a")))

    calls, _ = await reflect(server, 1)

    assert calls == [("replace", ["a"], "5")]


async def test_an_error_event_that_is_not_410_is_waited_out(server: tuple[Server, Client]) -> None:
    server[0].then(
        answer(listing("5")),
        events({"type": "ERROR", "object": {"code": 500, "reason": "InternalError", "message": "etcd"}}),
        events({"type": "ADDED", "object": thing("a", "6")}),
    )

    calls, _ = await reflect(server, 2)

    assert calls == [("replace", [], "5"), ("apply", "a")]


async def test_lines_may_be_as_large_as_a_record(server: tuple[Server, Client]) -> None:
    large = thing("a", "6") | {"padding": "x" * 700_000}
    server[0].then(answer(listing("5")), events({"type": "ADDED", "object": large}))

    calls, _ = await reflect(server, 2)

    assert calls[1] == ("apply", "a")
