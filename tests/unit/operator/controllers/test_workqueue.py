"""The work queue, in virtual time."""

import asyncio

import pytest

from podrelay.operator.clocks import WaitClock
from podrelay.operator.controllers.workqueue import WorkQueue
from tests.unit.operator.virtual_time import now, run_virtually


async def take(queue: WorkQueue[str]) -> str:
    """Take a key and mark it as done at once."""
    key = await queue.get()
    queue.done(key)
    return key


def test_a_key_that_is_added_twice_comes_once() -> None:
    async def main() -> None:
        queue: WorkQueue[str] = WorkQueue()
        queue.add("a")
        queue.add("a")
        queue.add("b")

        assert len(queue) == 2
        assert [await take(queue), await take(queue)] == ["a", "b"]
        assert len(queue) == 0

    run_virtually(main())


def test_a_key_that_is_added_while_a_worker_has_it_comes_back_once_afterwards() -> None:
    async def main() -> None:
        queue: WorkQueue[str] = WorkQueue()
        queue.add("a")
        key = await queue.get()

        queue.add("a")
        queue.add("a")
        assert len(queue) == 0, "no other worker may have it meanwhile"
        queue.done(key)

        assert len(queue) == 1
        await take(queue)
        assert len(queue) == 0

    run_virtually(main())


def test_a_delayed_key_comes_at_its_time() -> None:
    async def main() -> None:
        queue: WorkQueue[str] = WorkQueue()
        queue.add_after("late", 20)
        queue.add_after("soon", 10)

        assert (await take(queue), now()) == ("soon", 10)
        assert (await take(queue), now()) == ("late", 20)

    run_virtually(main())


def test_the_earliest_of_several_times_wins_and_the_others_are_forgotten() -> None:
    async def main() -> None:
        queue: WorkQueue[str] = WorkQueue()
        for seconds in (30, 10, 20):
            queue.add_after("a", seconds)

        await take(queue)
        assert now() == 10
        await asyncio.sleep(60)
        assert len(queue) == 0

    run_virtually(main())


def test_an_earlier_reconciliation_replaces_a_scheduled_time() -> None:
    async def main() -> None:
        queue: WorkQueue[str] = WorkQueue()
        queue.add_after("a", 10)
        queue.add("a")

        await take(queue)

        await asyncio.sleep(60)
        assert len(queue) == 0

    run_virtually(main())


def test_a_time_that_comes_while_the_key_is_in_progress_waits_for_the_worker() -> None:
    async def main() -> None:
        queue: WorkQueue[str] = WorkQueue()
        queue.add("a")
        key = await queue.get()
        queue.add_after("a", 5)

        await asyncio.sleep(6)
        assert len(queue) == 0
        queue.done(key)

        assert len(queue) == 1

    run_virtually(main())


def test_a_key_in_the_past_comes_at_once() -> None:
    async def main() -> None:
        queue: WorkQueue[str] = WorkQueue()
        queue.add_after("a", -5)

        assert (await take(queue), now()) == ("a", 0)

    run_virtually(main())


def test_superseded_times_do_not_fill_the_memory() -> None:
    async def main() -> None:
        queue: WorkQueue[str] = WorkQueue()
        for _ in range(1000):
            await asyncio.sleep(0.1)
            queue.add("a")
            key = await queue.get()
            queue.add_after("a", 86_400)
            queue.done(key)

        assert len(queue._heap) < 100
        assert await take(queue) == "a"

    run_virtually(main())


def test_failures_come_back_later_each_time_and_success_forgets_them() -> None:
    async def main() -> None:
        queue: WorkQueue[str] = WorkQueue()
        delays = []
        for _ in range(15):
            delays.append(queue.retry("a"))
            began = now()
            await take(queue)
            assert now() - began == pytest.approx(delays[-1])

        assert delays[0] <= 0.1
        assert 45 <= delays[-1] <= 60
        queue.succeeded("a")
        assert queue.retry("a") <= 0.1

    run_virtually(main())


def test_a_failure_waits_at_least_as_long_as_the_api_server_asked() -> None:
    async def main() -> None:
        queue: WorkQueue[str] = WorkQueue()

        assert queue.retry("a", at_least_seconds=17) == 17

    run_virtually(main())


def test_a_thousand_failures_are_still_a_minute_at_most() -> None:
    async def main() -> None:
        queue: WorkQueue[str] = WorkQueue()

        assert max(queue.retry("a") for _ in range(5000)) <= 60

    run_virtually(main())


def test_keys_of_a_standby_have_waited_since_the_beginning_of_its_term() -> None:
    async def main() -> None:
        queue: WorkQueue[str] = WorkQueue()
        queue.add("a")
        await asyncio.sleep(3600)
        queue.add("b")

        queue.reset_failures()

        assert queue.oldest_seconds == 0
        assert [await take(queue), await take(queue)] == ["a", "b"]

    run_virtually(main())


def test_keys_come_at_once_after_a_reset_of_failures() -> None:
    async def main() -> None:
        queue: WorkQueue[str] = WorkQueue()
        for _ in range(10):
            queue.retry("a", is_held=True)
        queue.add("a")
        assert len(queue) == 0

        queue.reset_failures()
        queue.add("a")

        assert len(queue) == 1
        await take(queue)
        assert queue.retry("a") <= 0.1

    run_virtually(main())


class Machine:
    """A machine whose event loop does not advance during a suspend."""

    def __init__(self) -> None:
        self.slept = 0.0
        self.put_forward = 0.0

    def boot(self) -> float:
        return now() + self.slept

    def wall(self) -> float:
        return 1_000_000 + self.boot() + self.put_forward

    def queue(self) -> WorkQueue[str]:
        return WorkQueue(clock=WaitClock(self.boot, self.wall))


@pytest.mark.parametrize("kind", ["slept", "put_forward"])
def test_keys_that_became_due_during_a_suspend_come_within_a_minute(kind: str) -> None:
    async def main() -> float:
        machine = Machine()
        queue = machine.queue()
        queue.add_after("tomorrow", 86_400)
        await asyncio.sleep(30)

        setattr(machine, kind, 86_400.0)
        assert await take(queue) == "tomorrow"
        return now()

    assert run_virtually(main()) <= 90


def test_a_backoff_is_not_extended_by_a_suspend() -> None:
    async def main() -> None:
        machine = Machine()
        queue = machine.queue()
        queue.retry("a", at_least_seconds=600)
        machine.slept = 700

        queue.add("a")

        assert len(queue) == 1

    run_virtually(main())


def test_a_wall_clock_that_is_set_back_delays_no_key() -> None:
    async def main() -> float:
        machine = Machine()
        queue = machine.queue()
        queue.add_after("a", 100)
        machine.put_forward = -86_400
        queue.add_after("b", 200)

        assert await take(queue) == "a"
        assert now() == pytest.approx(100)
        assert await take(queue) == "b"
        return now()

    assert run_virtually(main()) == pytest.approx(200)


def test_a_queue_reads_the_clock_once_a_minute_only_while_keys_wait() -> None:
    class CountedMachine(Machine):
        looks = 0

        def boot(self) -> float:
            self.looks += 1
            return super().boot()

    async def main() -> None:
        machine = CountedMachine()
        queue = machine.queue()
        before = machine.looks
        await asyncio.sleep(3600)
        assert machine.looks == before

        queue.add_after("a", 3600)
        await take(queue)
        assert machine.looks <= 3 * 2 * 62, "a look is that at boot and wall clock, and a timer a look or two"

    run_virtually(main())
