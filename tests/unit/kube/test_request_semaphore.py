"""Places for work that waits: slow work gives up its place and continues."""

import asyncio

from podrelay.kube.request_semaphore import Places
from tests.unit.operator.virtual_time import now, run_virtually


async def work(places: Places, seconds: float, begun: list[float]) -> None:
    await places.acquire()
    with places.occupied():
        begun.append(now())
        await asyncio.sleep(seconds)


def begins(places: Places, *seconds: float) -> list[float]:
    """Return the start time of each of these jobs."""

    async def main() -> list[float]:
        begun: list[float] = []
        async with asyncio.TaskGroup() as group:
            for each in seconds:
                group.create_task(work(places, each, begun))
        return begun

    return run_virtually(main())


def test_quick_work_keeps_its_place_to_the_end() -> None:
    assert begins(Places(2, slow=10), 0.9, 0.9, 0.1, 0.1) == [0, 0, 0.9, 0.9]


def test_slow_work_delays_other_work_for_one_second() -> None:
    assert begins(Places(2, slow=10), 30, 30, 0.1) == [0, 0, 1]


def test_the_number_of_slow_jobs_without_a_place_is_limited() -> None:
    assert begins(Places(1, slow=2), 30, 30, 30, 0.1) == [0, 1, 2, 30]


def test_slow_work_does_not_add_places_when_it_ends() -> None:
    async def main() -> list[float]:
        places, begun = Places(1, slow=2), list[float]()
        await asyncio.gather(*(work(places, 5, begun) for _ in range(2)))
        begun.clear()
        await asyncio.gather(*(work(places, 0.5, begun) for _ in range(3)))
        return [moment - begun[0] for moment in begun]

    assert run_virtually(main()) == [0, 0.5, 1]


def test_a_place_becomes_free_when_its_work_is_cancelled() -> None:
    async def main() -> list[float]:
        places, begun = Places(1, slow=0), list[float]()
        first = asyncio.create_task(work(places, 30, begun))
        await asyncio.sleep(3)
        first.cancel()
        await work(places, 1, begun)
        return begun

    assert run_virtually(main()) == [0, 3]
