"""Leading, stepping down and waiting as a standby within one process, in virtual time."""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import pytest

from podrelay.operator.leader_election import LeadershipLostError
from podrelay.operator.terms import Leadership
from tests.unit.operator.virtual_time import now, run_virtually


class FakeLease:
    """Acquired on each request, until it is taken away."""

    duration_seconds = 15.0

    def __init__(self) -> None:
        self.lost = asyncio.Event()
        self.is_free = True
        self.leadership: list[float] = []
        self.releases: list[float] = []

    async def acquire(self, may_lead: Callable[[], bool]) -> None:
        while not (may_lead() and self.is_free):  # noqa: ASYNC110 - virtual time
            await asyncio.sleep(2)
        self.leadership.append(now())

    async def keep(self) -> None:
        await self.lost.wait()
        self.lost.clear()

    async def release(self) -> None:
        self.releases.append(now())


class FakeSight:
    """All watches work until the test breaks them."""

    def __init__(self) -> None:
        self.synced = asyncio.Event()
        self.synced.set()
        self.blind = asyncio.Event()
        self.asked: list[float] = []

    async def wait_synced(self) -> None:
        await self.synced.wait()

    def can_see(self) -> bool:
        return not self.blind.is_set()

    def problem(self) -> str | None:
        return "the watch of taskruns has been broken for 31 s: 404"

    async def until_blind(self, seconds: float) -> str:
        self.asked.append(seconds)
        await self.blind.wait()
        return "the watch of taskruns has been broken for 31 s: 404"


class World:
    def __init__(self) -> None:
        self.lease, self.sight = FakeLease(), FakeSight()
        self.begun: list[float] = []
        self.writing = 0
        self.most_writing = 0
        self.failure: Exception | None = None
        self.reasons: list[str] = []
        leadership = Leadership(self.lease, self.sight, self.begin, self.report)
        self.task = asyncio.create_task(leadership.run())

    def begin(self) -> Sequence[Coroutine[Any, Any, None]]:
        self.begun.append(now())
        return [self.work(), self.work()]

    async def work(self) -> None:
        self.writing += 1
        self.most_writing = max(self.writing, self.most_writing)
        try:
            while self.failure is None:  # noqa: ASYNC110 - virtual time
                await asyncio.sleep(1)
            failure, self.failure = self.failure, None
            raise failure
        finally:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(3)  # a request under way takes a while to be ended
            self.writing -= 1

    async def report(self, why: str) -> None:
        self.reasons.append(why)


def test_a_lost_lease_ends_the_term_and_the_next_one_begins_when_the_old_one_can_no_longer_write() -> None:
    async def main() -> World:
        world = World()
        await asyncio.sleep(10)
        world.lease.lost.set()
        await asyncio.sleep(60)
        assert not world.task.done()
        return world

    world = run_virtually(main())
    assert len(world.begun) == 2
    assert world.begun[1] >= 13, "the work in progress was waited for"
    assert world.most_writing == 2, "never the work of two terms"
    assert world.lease.releases == [], "a lost Lease cannot be released"


def test_a_worker_that_notices_the_lost_lease_ends_the_term_but_not_the_process() -> None:
    async def main() -> World:
        world = World()
        await asyncio.sleep(10)
        world.failure = ExceptionGroup("workers", [LeadershipLostError("not ours")])
        await asyncio.sleep(60)
        assert not world.task.done()
        return world

    assert len(run_virtually(main()).begun) == 2


@pytest.mark.parametrize(
    "failure",
    [ValueError("a bug"), ExceptionGroup("workers", [LeadershipLostError("not ours"), ValueError("a bug")])],
    ids=["a bug", "a bug and a loss"],
)
def test_any_other_failure_of_the_work_ends_it(failure: Exception) -> None:
    async def main() -> None:
        world = World()
        await asyncio.sleep(10)
        world.failure = failure
        with pytest.raises(ExceptionGroup):
            await world.task
        assert world.writing == 0

    run_virtually(main())


def test_a_blind_leader_releases_the_lease_after_its_work_and_takes_it_again_later() -> None:
    async def main() -> World:
        world = World()
        await asyncio.sleep(10)
        world.sight.blind.set()
        await asyncio.sleep(100)
        assert (len(world.begun), world.writing) == (1, 0), "it is a standby"

        world.sight.blind.clear()
        await asyncio.sleep(10)
        return world

    world = run_virtually(main())
    assert world.sight.asked[0] == 30, "two Leases"
    assert len(world.begun) == 2
    assert [released >= 13 for released in world.lease.releases] == [True]
    assert world.reasons == ["the watch of taskruns has been broken for 31 s: 404"]


def test_a_blind_standby_does_not_take_the_lease_and_logs_that_once(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> World:
        world = World()
        world.lease.is_free = False
        await asyncio.sleep(10)
        world.sight.blind.set()
        world.lease.is_free = True
        await asyncio.sleep(100)
        return world

    assert run_virtually(main()).begun == []
    logged = [line.getMessage() for line in caplog.records if "not requesting the Lease" in line.getMessage()]
    assert len(logged) == 1
    assert "the watch of taskruns" in logged[0]


def test_nothing_begins_before_everything_was_listed() -> None:
    async def main() -> World:
        world = World()
        world.sight.synced.clear()
        await asyncio.sleep(60)
        assert world.lease.leadership == [], "a replica without synced caches does not request the Lease"
        world.sight.synced.set()
        await asyncio.sleep(10)
        return world

    assert len(run_virtually(main()).begun) == 1


def test_an_end_of_the_process_ends_the_work_first() -> None:
    async def main() -> World:
        world = World()
        await asyncio.sleep(10)
        world.task.cancel()
        await asyncio.gather(world.task, return_exceptions=True)
        return world

    assert run_virtually(main()).writing == 0
