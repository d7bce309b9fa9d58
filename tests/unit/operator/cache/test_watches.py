"""The health of the watches: readiness, the metric, and when a replica is blind, in virtual time."""

import asyncio

import pytest

from podrelay.operator.cache.watches import READY_SECONDS, Watches
from tests.unit.operator.virtual_time import now, run_virtually

KINDS = ("taskdefinitions", "taskruns", "taskiterations", "pods")


class FakeWatch:
    def __init__(self, name: str, interrupted: asyncio.Event, namespace: str | None = None) -> None:
        self.name = name
        self.namespace = namespace
        self.synced = asyncio.Event()
        self.broken_since: float | None = None
        self.problem: str | None = None
        self.interrupted = interrupted

    async def run(self) -> None:
        await asyncio.Event().wait()

    def fail(self, problem: str = "404 NotFound: no") -> None:
        self.broken_since, self.problem = now(), problem
        self.interrupted.set()

    def work(self) -> None:
        self.broken_since = self.problem = None


class World:
    def __init__(self, *namespaces: str) -> None:
        interrupted = asyncio.Event()
        self.by_kind = {
            kind: [FakeWatch(kind, interrupted, namespace) for namespace in namespaces or (None,)] for kind in KINDS
        }
        self.settings = FakeWatch("configmaps", interrupted)
        needed = tuple(watch for watches in self.by_kind.values() for watch in watches)
        for watch in needed:
            watch.synced.set()
        self.watches = Watches(needed, (self.settings,), interrupted)

    def one(self, kind: str, number: int = 0) -> FakeWatch:
        return self.by_kind[kind][number]


def test_it_is_not_ready_before_everything_was_listed() -> None:
    async def main() -> None:
        world = World()
        assert world.watches.problem() is None
        world.one("pods").synced.clear()

        assert world.watches.problem() == "caches are filling"
        assert not world.watches.can_see()

    run_virtually(main())


@pytest.mark.parametrize("kind", KINDS)
def test_readiness_names_the_resource_and_the_reason_after_a_few_seconds(kind: str) -> None:
    async def main() -> None:
        world = World()
        world.one(kind).fail("404 NotFound: the server could not find the requested resource")
        await asyncio.sleep(READY_SECONDS)
        assert world.watches.problem() is None, "the restart of an API server takes a moment"

        await asyncio.sleep(7)

        problem = world.watches.problem()
        assert (
            problem == f"the watch of {kind} has been broken for 12 s: 404 NotFound: "
            "the server could not find the requested resource"
        )
        world.one(kind).work()
        assert world.watches.problem() is None

    run_virtually(main())


def test_the_reason_why_caches_do_not_fill_is_shown() -> None:
    async def main() -> str | None:
        world = World()
        world.one("pods").synced.clear()
        world.one("pods").fail("403 Forbidden: no")
        await asyncio.sleep(10)
        return world.watches.problem()

    assert run_virtually(main()) == "the watch of pods has been broken for 10 s: 403 Forbidden: no"


def test_settings_are_optional_but_measured() -> None:
    async def main() -> None:
        world = World()
        world.settings.fail("403 Forbidden: no")
        await asyncio.sleep(100)

        assert world.watches.problem() is None
        assert world.watches.can_see()
        assert world.watches.broken_seconds() == dict.fromkeys(KINDS, 0.0) | {"configmaps": 100.0}

    run_virtually(main())


def test_the_metric_shows_the_longest_time_of_all_namespaces() -> None:
    async def main() -> None:
        world = World("a", "b")
        world.one("pods", 1).fail()
        await asyncio.sleep(8)
        world.one("pods", 0).fail()
        await asyncio.sleep(2)

        assert world.watches.broken_seconds()["pods"] == 10
        assert "in namespace b has been broken for 10 s" in (world.watches.problem() or "")

    run_virtually(main())


def test_one_kind_without_a_watch_makes_blind_even_if_other_watches_recover() -> None:
    async def main() -> tuple[str, float]:
        world = World()
        blind = asyncio.create_task(world.watches.until_blind(30))
        await asyncio.sleep(10)
        world.one("taskiterations").fail()
        for _ in range(5):
            world.one("pods").fail()
            await asyncio.sleep(5)
            world.one("pods").work()
            assert not blind.done()
        return await blind, now()

    why, when = run_virtually(main())
    assert when == 40
    assert why == "the watch of taskiterations has been broken for 30 s: 404 NotFound: no"


def test_a_watch_that_recovers_in_time_does_not_make_blind() -> None:
    async def main() -> None:
        world = World()
        blind = asyncio.create_task(world.watches.until_blind(30))
        for _ in range(10):
            await asyncio.sleep(1)
            world.one("taskruns").fail()
            await asyncio.sleep(29)
            world.one("taskruns").work()
        await asyncio.sleep(1000)

        assert not blind.done()
        blind.cancel()

    run_virtually(main())


def test_a_deleted_namespace_among_several_does_not_make_blind() -> None:
    async def main() -> float:
        world = World("a", "b")
        blind = asyncio.create_task(world.watches.until_blind(30))
        for kind in KINDS:
            world.one(kind, 1).fail("403 Forbidden: no")
        await asyncio.sleep(1000)
        assert not blind.done()
        assert world.watches.can_see()
        assert "in namespace b" in (world.watches.problem() or "")

        world.one("taskruns", 0).fail()
        await blind
        return now()

    assert run_virtually(main()) == 1030
