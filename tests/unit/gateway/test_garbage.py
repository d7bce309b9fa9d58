"""Full garbage collections happen between operations."""

import asyncio
import gc
from collections.abc import Iterator

import pytest

from podrelay.gateway.event_loop.garbage import Garbage


class Collected:
    """Counts the full collections."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, phase: str, info: dict[str, int]) -> None:
        self.count += phase == "stop" and info["generation"] == 2


@pytest.fixture
def collected() -> Iterator[Collected]:
    counter = Collected()
    gc.disable()
    gc.callbacks.append(counter)
    yield counter
    gc.callbacks.remove(counter)
    gc.enable()


def make_it_due() -> None:
    gc.collect()
    for _ in range(4):
        gc.collect(1)


async def a_moment() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


async def test_a_collection_follows_the_last_operation_at_once(collected: Collected) -> None:
    garbage = Garbage()
    make_it_due()
    before = collected.count

    with garbage.operation():
        with garbage.operation():
            await a_moment()
        await a_moment()
        assert collected.count == before
    await a_moment()

    assert collected.count == before + 1


async def test_an_operation_that_has_started_meanwhile_is_not_disturbed(collected: Collected) -> None:
    garbage = Garbage()
    make_it_due()
    before = collected.count

    with garbage.operation():
        pass
    with garbage.operation():
        await a_moment()
        assert collected.count == before
    await a_moment()

    assert collected.count == before + 1


async def test_few_collections_of_young_objects_need_no_full_one(collected: Collected) -> None:
    gc.collect()
    gc.collect(1)
    before = collected.count

    with Garbage().operation():
        pass
    await a_moment()

    assert collected.count == before
