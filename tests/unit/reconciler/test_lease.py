"""Who may work: one Lease, judged by the local clock."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from podrelay.reconciler.lease import LeaderElection, LeadershipLostError
from tests.support.modelapi import ModelApi, run


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class LeaseApi(ModelApi):
    """The model, with PUT."""

    is_down = False

    async def get(self, *arguments: Any) -> bytes:
        if self.is_down:
            raise TimeoutError
        return await super().get(*arguments)

    async def replace(self, resource: Any, namespace: str, name: str, body: dict[str, Any]) -> bytes:
        return await self.patch(resource, namespace, name, body)


@pytest.fixture
def api() -> LeaseApi:
    return LeaseApi(datetime(2026, 1, 1, tzinfo=UTC))


@pytest.fixture
def clock() -> Clock:
    return Clock()


def elector(api: LeaseApi, clock: Clock, identity: str) -> LeaderElection:
    async def make() -> LeaderElection:
        return LeaderElection(api, "system", "lease", identity, 15, clock)  # type: ignore[arg-type]

    return asyncio.run(make())


def acquire(election: LeaderElection) -> bool:
    got = run(election._attempt(election._acquire))
    if got:
        election.held.set()
    return got


def test_one_holds_it_and_the_other_does_not(api: LeaseApi, clock: Clock) -> None:
    first, second = elector(api, clock, "first"), elector(api, clock, "second")

    assert acquire(first)
    assert not acquire(second)
    first.require()
    with pytest.raises(LeadershipLostError):
        second.require()


def test_it_is_taken_over_when_it_has_not_changed_for_its_duration_by_the_local_clock(
    api: LeaseApi, clock: Clock
) -> None:
    first, second = elector(api, clock, "first"), elector(api, clock, "second")
    acquire(first)

    assert not acquire(second)
    clock.now += 14
    assert not acquire(second)
    clock.now += 1
    assert acquire(second)


def test_a_holder_that_renews_keeps_it(api: LeaseApi, clock: Clock) -> None:
    first, second = elector(api, clock, "first"), elector(api, clock, "second")
    acquire(first)

    for _ in range(5):
        assert not acquire(second)
        clock.now += 10
        assert run(first._attempt(first._renew))
    assert not acquire(second)


def test_a_holder_that_was_asleep_knows_that_it_is_late(api: LeaseApi, clock: Clock) -> None:
    first = elector(api, clock, "first")
    acquire(first)

    clock.now += 11

    with pytest.raises(LeadershipLostError):
        first.require()


def test_a_clean_stop_lets_the_other_in_at_once(api: LeaseApi, clock: Clock) -> None:
    first, second = elector(api, clock, "first"), elector(api, clock, "second")
    acquire(first)

    run(first.release())

    assert acquire(second)


def test_whoever_finds_another_holder_stops_at_once(api: LeaseApi, clock: Clock) -> None:
    first, second = elector(api, clock, "first"), elector(api, clock, "second")
    acquire(first)
    acquire(second)
    clock.now += 15
    acquire(second)

    assert not run(first._attempt(first._renew))
    with pytest.raises(LeadershipLostError):
        first.require()


def test_a_holder_that_cannot_renew_gives_up(api: LeaseApi, clock: Clock) -> None:
    async def scenario() -> None:
        election = LeaderElection(api, "system", "lease", "first", 0.3)  # type: ignore[arg-type]
        task = asyncio.create_task(election.run())
        await asyncio.wait_for(election.held.wait(), 5)
        api.is_down = True
        await asyncio.wait_for(task, 5)
        assert not election.held.is_set()

    asyncio.run(scenario())
