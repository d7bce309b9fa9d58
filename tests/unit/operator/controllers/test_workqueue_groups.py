"""Groups of the work queue: their turns, and how many keys of one are in progress at once."""

import asyncio

import pytest

from podrelay.operator.controllers.workqueue import WorkQueue
from tests.unit.operator.virtual_time import now, run_virtually


def by_letter(key: str) -> tuple[str]:
    return (key[0],)


def test_a_burst_in_one_group_does_not_delay_another() -> None:
    async def main() -> list[str]:
        queue: WorkQueue[str] = WorkQueue(by_letter)
        for number in range(600):
            queue.add(f"a{number}")
        queue.add("b0")
        return [await queue.get() for _ in range(3)]

    assert run_virtually(main()) == ["a0", "b0", "a1"]


def test_a_group_with_slow_keys_leaves_half_of_the_workers_to_the_others() -> None:
    async def main() -> None:
        queue: WorkQueue[str] = WorkQueue(by_letter, most_in_progress=4)
        for number in range(9):
            queue.add(f"a{number}")
        assert [await queue.get(), await queue.get()] == ["a0", "a1"]
        others = asyncio.create_task(queue.get())
        await asyncio.sleep(10)
        assert not others.done(), "two of four are in progress: the rest of the group waits"

        queue.add("b0")
        assert await others == "b0"
        queue.done("a1")
        assert await queue.get() == "a2"

    run_virtually(main())


def test_a_group_continues_when_one_of_its_keys_is_done() -> None:
    async def main() -> None:
        queue: WorkQueue[str] = WorkQueue(by_letter, most_in_progress=2)
        queue.add("a0")
        queue.add("a1")
        await queue.get()
        waits = asyncio.create_task(queue.get())
        await asyncio.sleep(1)

        queue.done("a0")

        assert await waits == "a1"

    run_virtually(main())


def test_a_key_that_is_added_again_moves_to_its_current_group() -> None:
    async def main() -> list[str]:
        groups = dict.fromkeys((f"a{number}" for number in range(9)), ("a",))
        queue: WorkQueue[str] = WorkQueue(lambda key: groups[key])
        for key in groups:
            queue.add(key)
        groups["a8"] = ("b",)
        queue.add("a8")
        assert len(queue) == 9
        return [await queue.get() for _ in range(9)]

    assert run_virtually(main())[:3] == ["a0", "a8", "a1"]


def test_the_age_of_the_oldest_key_is_known() -> None:
    async def main() -> None:
        queue: WorkQueue[str] = WorkQueue()
        assert queue.oldest_seconds == 0
        queue.add("a")
        await asyncio.sleep(5)
        queue.add("b")
        await asyncio.sleep(2)

        assert queue.oldest_seconds == 7
        await queue.get()
        assert queue.oldest_seconds == 2
        await queue.get()
        assert queue.oldest_seconds == 0

    run_virtually(main())


def test_no_event_ends_a_pause_that_is_held() -> None:
    async def main() -> None:
        queue: WorkQueue[str] = WorkQueue()
        for _ in range(12):
            queue.add("a")
            await queue.get()
            delay = queue.retry("a", is_held=True)
            queue.add("a")  # an event, while the worker has it
            queue.done("a")
            began = now()
            queue.add("a")  # and one afterwards

            assert await queue.get() == "a"
            assert now() - began == pytest.approx(delay)
            queue.done("a")

    run_virtually(main())
