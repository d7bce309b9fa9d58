"""Requests that take long: how long they may, and that they keep nobody else from being answered."""

import asyncio

import pytest
from aiohttp import web

from podrelay.kube.client import Client
from podrelay.kube.resources import PODS
from tests.unit.kube.test_kube_client import Server, client, server

__all__ = ["client", "server"]


class SlowPods:
    """An API server that answers no POST until it is told to."""

    def __init__(self, server: Server) -> None:
        self.go_on = asyncio.Event()
        self.waiting = 0
        server.answer = self.answer

    async def answer(self, request: web.Request) -> web.Response:
        if request.method == "POST":
            self.waiting += 1
            await self.go_on.wait()
        return web.json_response({})


async def test_forty_requests_whose_admission_is_slow_keep_no_read_waiting(client: Client, server: Server) -> None:
    pods = SlowPods(server)
    creates = [asyncio.create_task(client.create(PODS, "shop", {"name": str(n)})) for n in range(40)]

    async with asyncio.timeout(10):
        while pods.waiting < 16:  # noqa: ASYNC110 - the server counts in a task of its own
            await asyncio.sleep(0.01)
        # Four seconds at most: a read that has to wait has five, its answer included.
        await client.get(PODS, "shop", "other")

    pods.go_on.set()
    await asyncio.gather(*creates)
    assert pods.waiting == 40


async def test_a_write_has_the_time_that_admission_may_take(client: Client, server: Server) -> None:
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


async def test_a_client_of_its_own_may_have_less_time(server: Server, client: Client) -> None:
    SlowPods(server)
    async with Client(client.connection, write_timeout_seconds=0.1) as impatient:
        with pytest.raises(TimeoutError):
            await impatient.create(PODS, "shop", {})


async def test_what_is_asked_before_a_request_is_asked_when_its_turn_has_come(server: Server, client: Client) -> None:
    # given a client with one place, which is taken
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

        # when it is refused before the place is free
        is_ours = False
        pods.go_on.set()
        await first

        # then it was not sent
        with pytest.raises(PermissionError):
            await second
        assert [seen.body["name"] for seen in server.seen] == ["first"]
