"""The work queue, in a loop whose time the test sets."""

import asyncio
import heapq
from collections.abc import Coroutine
from typing import Any

from podrelay.reconciler.queue import WorkQueue


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock jumps to the next timer instead of waiting for it."""

    now = 0.0

    def time(self) -> float:
        return self.now

    def _run_once(self) -> None:
        ready, scheduled = self._ready, self._scheduled  # type: ignore[attr-defined]
        if not ready and scheduled:
            self.now = max(self.now, heapq.nsmallest(1, scheduled)[0].when())
        super()._run_once()  # type: ignore[misc]


def in_virtual_time(coroutine: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(coroutine)


def test_a_key_is_queued_once() -> None:
    async def scenario() -> None:
        queue: WorkQueue[str] = WorkQueue()
        queue.add("a")
        queue.add("a")
        queue.add("b")
        assert [await queue.get(), await queue.get()] == ["a", "b"]
        assert len(queue) == 0

    in_virtual_time(scenario())


def test_a_key_that_changes_while_it_is_worked_on_comes_back_afterwards() -> None:
    async def scenario() -> None:
        queue: WorkQueue[str] = WorkQueue()
        queue.add("a")
        assert await queue.get() == "a"
        queue.add("a")
        assert len(queue) == 0
        queue.done("a")
        assert await queue.get() == "a"

    in_virtual_time(scenario())


def test_the_earliest_of_several_wishes_counts_and_a_look_settles_all() -> None:
    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        queue: WorkQueue[str] = WorkQueue()
        queue.add_after("a", 50)
        queue.add_after("a", 20)
        queue.add_after("a", 30)
        assert await queue.get() == "a"
        assert loop.time() == 20
        queue.done("a")
        queue.add_after("b", 100)
        assert await queue.get() == "b"

    in_virtual_time(scenario())


def test_failures_wait_longer_each_time_up_to_a_minute() -> None:
    async def scenario() -> None:
        queue: WorkQueue[str] = WorkQueue()
        delays = [queue.retry("a") for _ in range(14)]
        assert 0.05 < delays[0] < 0.2
        assert 40 <= delays[-1] <= 60
        assert queue.retry("a", at_least_seconds=90) == 90
        queue.succeeded("a")
        assert queue.retry("a") < 0.2

    in_virtual_time(scenario())


def test_a_key_does_not_come_back_before_the_api_server_wants_it_to() -> None:
    async def scenario() -> None:
        queue: WorkQueue[str] = WorkQueue()
        queue.add("a")
        await queue.get()
        queue.retry("a", at_least_seconds=7)
        queue.done("a")
        queue.add("a")  # an event
        assert len(queue) == 0
        assert await queue.get() == "a"
        assert asyncio.get_running_loop().time() == 7

    in_virtual_time(scenario())


def test_wishes_that_were_overtaken_do_not_fill_the_memory() -> None:
    async def scenario() -> None:
        queue: WorkQueue[str] = WorkQueue()
        for _ in range(10_000):
            queue.add_after("a", 90 * 86_400)
            queue.add("a")
            await queue.get()
            queue.done("a")
        assert len(queue._heap) < 100

    in_virtual_time(scenario())
