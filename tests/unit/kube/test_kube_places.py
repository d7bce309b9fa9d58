"""Places for work that waits: who takes long gives his up, and goes on."""

import asyncio

from podrelay.kube.places import Places
from tests.unit.operator.virtual_time import now, run_virtually


async def work(places: Places, seconds: float, begun: list[float]) -> None:
    await places.acquire()
    with places.occupied():
        begun.append(now())
        await asyncio.sleep(seconds)


def begins(places: Places, *seconds: float) -> list[float]:
    """When each of these began to work."""

    async def main() -> list[float]:
        begun: list[float] = []
        async with asyncio.TaskGroup() as group:
            for each in seconds:
                group.create_task(work(places, each, begun))
        return begun

    return run_virtually(main())


def test_who_is_quick_keeps_the_place_to_the_end() -> None:
    assert begins(Places(2, slow=10), 0.9, 0.9, 0.1, 0.1) == [0, 0, 0.9, 0.9]


def test_who_takes_long_keeps_others_waiting_for_a_second() -> None:
    assert begins(Places(2, slow=10), 30, 30, 0.1) == [0, 0, 1]


def test_only_so_many_go_on_without_a_place() -> None:
    assert begins(Places(1, slow=2), 30, 30, 30, 0.1) == [0, 1, 2, 30]


def test_places_do_not_grow_by_those_who_gave_theirs_up() -> None:
    async def main() -> list[float]:
        places, begun = Places(1, slow=2), list[float]()
        await asyncio.gather(*(work(places, 5, begun) for _ in range(2)))
        begun.clear()
        await asyncio.gather(*(work(places, 0.5, begun) for _ in range(3)))
        return [moment - begun[0] for moment in begun]

    assert run_virtually(main()) == [0, 0.5, 1]


def test_a_place_comes_free_when_its_work_is_cancelled() -> None:
    async def main() -> list[float]:
        places, begun = Places(1, slow=0), list[float]()
        first = asyncio.create_task(work(places, 30, begun))
        await asyncio.sleep(3)
        first.cancel()
        await work(places, 1, begun)
        return begun

    assert run_virtually(main()) == [0, 3]
