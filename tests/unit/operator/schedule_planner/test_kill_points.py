"""An operator is killed at any of its writes; the run ends and is deleted before another operator continues."""

from datetime import timedelta

import pytest

from tests.support.schedulemodel import World, accounted

MOST_WRITES = 4


@pytest.mark.parametrize("is_after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("number", range(1, MOST_WRITES + 1))
def test_the_time_has_one_run_although_the_run_has_no_ttl(number: int, is_after: bool) -> None:
    world = World(schedules=[{"every": "1m"}])
    victim, successor = world.operator(), world.operator()
    victim.client.writes_left, victim.client.is_killed_after = number, is_after
    is_alive = victim.work()
    world.now += timedelta(minutes=1)
    if is_alive:
        victim.work()

    world.finish_all()
    successor.sync()
    successor.collect()
    successor.work()
    world.finish_all()
    successor.work()
    successor.collect()

    assert world.created == {"nightly-20260328t120100z": 1}
    assert world.runs() == []
    assert (world.status.started, world.status.succeeded, accounted(world.status)) == (1, 1, 1)


def test_a_leader_with_an_old_cache_does_not_start_a_run_again_that_its_ttl_has_removed() -> None:
    world = World(schedules=[{"every": "1m"}])
    first, second = world.operator(), world.operator()
    second.sync()
    first.work()
    world.now += timedelta(minutes=1)
    first.work()
    world.finish_all()
    first.work()
    first.collect()

    second.schedules.begin_term()
    second.work(0)

    assert world.created == {"nightly-20260328t120100z": 1}


def test_a_run_that_a_user_deletes_is_not_started_again() -> None:
    world = World(schedules=[{"every": "1m"}])
    operator = world.operator()
    world.play(operator, until=timedelta(seconds=70))
    world.delete_run("nightly-20260328t120100z")

    world.play(operator, until=timedelta(seconds=30))

    assert world.created == {"nightly-20260328t120100z": 1}
    assert world.status.active == ()
