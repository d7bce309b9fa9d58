"""The numbers of runs in the status of a definition: written when they change, not too often, and nothing else."""

import asyncio
from typing import Any

import msgspec
import pytest

from podrelay.kube.errors import ApiError, NotFoundError
from podrelay.kube.resources import Key, Resource
from podrelay.operator.cache.store import Store
from podrelay.operator.controllers.definition_counts import INTERVAL_SECONDS, DefinitionCountsController
from podrelay.operator.controllers.workqueue import WorkQueue
from podrelay.operator.view import Settings
from tests.unit.operator.builders import KEY, RUN_UID, current, task_definition, task_run
from tests.unit.operator.virtual_time import now, run_virtually

RUNNING: dict[str, Any] = {"phase": "Running", "current": current()}
DEFINITION = Key(KEY.namespace, "count-words")


class Api:
    """Accepts patches, and responds with the patched definition."""

    def __init__(self) -> None:
        self.written: list[tuple[float, dict[str, Any]]] = []
        self.refusals: list[ApiError] = []
        self.status: dict[str, Any] = {}

    async def patch(self, _r: Resource, _namespace: str, name: str, body: dict[str, Any], *, subresource: str) -> bytes:
        assert subresource == "status"
        if self.refusals:
            raise self.refusals.pop()
        self.written.append((now(), body["status"]))
        self.status |= body["status"]
        answered = msgspec.to_builtins(task_definition(name))
        return msgspec.json.encode(answered | {"status": self.status})


class World:
    """A running controller of counts, and its store."""

    def __init__(self) -> None:
        self.api = Api()
        queue: WorkQueue[Key] = WorkQueue()
        self.store = Store(lambda _key: None, Settings(), counted=queue.add)
        self.store.definitions.apply(task_definition(maxConcurrentRuns=1))
        self.store.slots.open()
        self.task = asyncio.create_task(DefinitionCountsController(self.api, self.store, queue).run())  # type: ignore[arg-type]

    def start(self, name: str) -> None:
        self.store.runs.apply(task_run(RUNNING, name=name, uid=f"uid-{name}"))

    def end(self, name: str) -> None:
        self.store.runs.apply(task_run({"phase": "Succeeded"}, name=name, uid=f"uid-{name}"))


def test_without_runs_nothing_is_written() -> None:
    async def main() -> list[Any]:
        world = World()
        await asyncio.sleep(3600)
        return world.api.written

    assert run_virtually(main()) == []


def test_numbers_are_written_at_once_and_then_every_15_seconds_while_they_change() -> None:
    async def main() -> list[Any]:
        world = World()
        for number in range(40):
            world.start(f"run{number}")
            await asyncio.sleep(0.8)  # never exactly at the time of a write
        await asyncio.sleep(3600)
        return world.api.written

    assert INTERVAL_SECONDS == 15
    assert run_virtually(main()) == [
        (0, {"activeRuns": 1}),
        (15, {"activeRuns": 19}),
        (30, {"activeRuns": 38}),
        (45, {"activeRuns": 40}),
    ]


def test_short_changes_in_between_are_not_written() -> None:
    async def main() -> list[Any]:
        world = World()
        world.start("a")
        await asyncio.sleep(1)
        world.start("b")
        await asyncio.sleep(1)
        world.end("b")
        await asyncio.sleep(3600)
        return world.api.written

    assert run_virtually(main()) == [(0, {"activeRuns": 1})]


def test_queued_runs_are_counted_and_only_changed_numbers_are_written() -> None:
    async def main() -> list[Any]:
        world = World()
        world.start("a")
        await asyncio.sleep(1)
        world.store.runs.apply(task_run(uid=RUN_UID))
        world.store.take_slot(task_run(), None)
        await asyncio.sleep(60)
        world.end("a")
        await asyncio.sleep(60)
        return world.api.written

    assert run_virtually(main()) == [(0, {"activeRuns": 1}), (15, {"queuedRuns": 1}), (61, {"queuedRuns": 0})]


def test_numbers_that_are_wrong_after_a_restart_are_corrected() -> None:
    async def main() -> list[Any]:
        world = World()
        body = msgspec.to_builtins(task_definition())
        body["status"] = {"activeRuns": 7, "queuedRuns": 0}
        world.store.definitions.apply(msgspec.convert(body, type(task_definition())))
        await asyncio.sleep(60)
        return world.api.written

    assert run_virtually(main()) == [(0, {"activeRuns": 0})]


@pytest.mark.parametrize(("error", "writes"), [(ApiError(503, "", "no"), 1), (NotFoundError(404, "NotFound", ""), 0)])
def test_a_failed_write_is_retried_unless_the_definition_was_deleted(error: ApiError, writes: int) -> None:
    async def main() -> list[Any]:
        world = World()
        world.api.refusals.append(error)
        world.start("a")
        await asyncio.sleep(3600)
        return world.api.written

    assert len(run_virtually(main())) == writes


def test_a_deleted_definition_is_forgotten() -> None:
    async def main() -> list[Any]:
        world = World()
        world.start("a")
        await asyncio.sleep(1)
        definition = world.store.definition(*DEFINITION)
        assert definition is not None
        world.store.definitions.forget(DEFINITION, DEFINITION.name, definition.metadata.uid)
        world.end("a")
        await asyncio.sleep(60)
        return world.api.written

    assert run_virtually(main()) == [(0, {"activeRuns": 1})]
