"""Slow requests: their timeouts, and that they do not delay other requests."""

import asyncio

import pytest
from aiohttp import web

from podrelay.kube.client import Client
from podrelay.kube.resources import PODS
from tests.unit.kube.test_client import Server, client, server

__all__ = ["client", "server"]


class SlowPods:
    """An API server that does not respond to a POST until the test allows it."""

    def __init__(self, server: Server) -> None:
        self.go_on = asyncio.Event()
        self.waiting = 0
        server.answer = self.answer

    async def answer(self, request: web.Request) -> web.Response:
        if request.method == "POST":
            self.waiting += 1
            await self.go_on.wait()
        return web.json_response({})


async def test_forty_requests_with_slow_admission_delay_no_read(client: Client, server: Server) -> None:
    pods = SlowPods(server)
    creates = [asyncio.create_task(client.create(PODS, "shop", {"name": str(n)})) for n in range(40)]

    async with asyncio.timeout(10):
        while pods.waiting < 16:  # noqa: ASYNC110 - the server counts in a task of its own
            await asyncio.sleep(0.01)
        # At most four seconds: the timeout of a read, including its wait and its answer, is five.
        await client.get(PODS, "shop", "other")

    pods.go_on.set()
    await asyncio.gather(*creates)
    assert pods.waiting == 40


async def test_the_timeout_of_a_write_allows_for_slow_admission(client: Client, server: Server) -> None:
    asked: list[float | None] = []
    timeout = asyncio.timeout

    def noting(seconds: float | None) -> asyncio.Timeout:
        asked.append(seconds)
        return timeout(seconds)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("podrelay.kube.client.asyncio.timeout", noting)
        await client.create(PODS, "shop", {})
        writes = list(asked)
        asked.clear()
        await client.get(PODS, "shop", "a")

    assert 35 in writes
    assert 5 in asked
    assert 35 not in asked


async def test_a_separate_client_may_have_a_shorter_timeout(server: Server, client: Client) -> None:
    SlowPods(server)
    async with Client(client.connection, write_timeout_seconds=0.1) as impatient:
        with pytest.raises(TimeoutError):
            await impatient.create(PODS, "shop", {})


async def test_the_check_before_a_request_runs_when_a_place_is_free(server: Server, client: Client) -> None:
    # given a client with one place, which is in use
    pods = SlowPods(server)
    async with Client(client.connection, max_in_flight=1) as narrow:
        first = asyncio.create_task(narrow.create(PODS, "shop", {"name": "first"}))
        is_ours = True

        def require() -> None:
            if not is_ours:
                raise PermissionError("the Lease is lost")

        second = asyncio.create_task(narrow.create(PODS, "shop", {"name": "second"}, before=require))
        async with asyncio.timeout(5):
            while not pods.waiting:  # noqa: ASYNC110 - the server counts in a task of its own
                await asyncio.sleep(0.01)

        # when the request is rejected before the place is free
        is_ours = False
        pods.go_on.set()
        await first

        # then it was not sent
        with pytest.raises(PermissionError):
            await second
        assert [seen.body["name"] for seen in server.seen] == ["first"]
