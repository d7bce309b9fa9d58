"""Slow work in the loop delays no other runs: slow responses, costly input checks, and runs that are deleted."""

import asyncio
from typing import Any

import msgspec

from podrelay.kube.resources import Key
from podrelay.operator.cache.store import Store
from podrelay.operator.controllers.task_runs import TaskRunController, group_of
from podrelay.operator.controllers.workqueue import WorkQueue
from podrelay.operator.objects.runs import TaskRun
from podrelay.operator.plan import Action, Plan, ReadInput
from podrelay.operator.view import InputCheck, Settings, View
from tests.unit.operator.builders import KEY, NOW, current, later, task_definition, task_run
from tests.unit.operator.virtual_time import now, run_virtually


class SlowExecutor:
    """Is slow for the runs of one definition; does everything else at once, which finishes the run."""

    def __init__(self, store: Store, seconds: float, of: str = "slow") -> None:
        self.store = store
        self.seconds = seconds
        self.of = of
        self.ended: dict[str, float] = {}
        self.checked: list[str] = []

    async def carry_out(self, key: Key, view: View, action: Action) -> None:
        if view.run.spec.definition == self.of:
            await asyncio.sleep(self.seconds)
        if isinstance(action, ReadInput):
            assert view.definition is not None
            self.checked.append(key.name)
            self.store.input_read(view.run, view.definition, InputCheck(concurrency_key="1"))
        else:
            self.end(key)

    async def write_status(self, key: Key, _view: View, _plan: Plan) -> None:
        self.end(key)

    def end(self, key: Key) -> None:
        self.ended.setdefault(key.name, now())
        run = self.store.run(key)
        if run is not None:
            self.store.runs.apply(a_run(key.name, run.spec.definition, {"phase": "Succeeded"}))


class World:
    """The running loop, with the definitions `slow` and `quick`."""

    def __init__(self, seconds: float, **spec: Any) -> None:
        self.queue: WorkQueue[Key] = WorkQueue(lambda key: group_of(self.store, key))
        self.store = Store(self.queue.add, Settings(), clock=lambda: later(now()))
        self.executor = SlowExecutor(self.store, seconds)
        for name in ("slow", "quick"):
            self.store.definitions.apply(task_definition(name, **spec))
        self.lead()

    def lead(self) -> None:
        loop = TaskRunController(self.store, self.executor, self.queue)  # type: ignore[arg-type]
        self.task = asyncio.create_task(loop.run())

    def start(self, definition: str, *names: str) -> None:
        for name in names:
            self.store.runs.apply(a_run(name, definition))


def a_run(name: str, definition: str, status: dict[str, Any] | None = None, **spec: Any) -> TaskRun:
    return task_run(status, name=name, uid=name, definition=definition, **spec)


def numbered(prefix: str, count: int) -> list[str]:
    return [f"{prefix}{number}" for number in range(count)]


def test_250_runs_with_slow_pod_creation_delay_no_other_definition() -> None:
    async def main() -> World:
        world = World(30)
        world.start("slow", *numbered("slow", 250))
        await asyncio.sleep(0.5)
        world.start("quick", *numbered("quick", 5))
        await asyncio.sleep(600)
        return world

    ended = run_virtually(main()).executor.ended
    assert max(ended[name] for name in numbered("quick", 5)) < 2
    assert len(ended) == 255, "none is forgotten"


def test_costly_input_checks_delay_neither_other_definitions_nor_aborts() -> None:
    async def main() -> World:
        world = World(1, inputSchema={"type": "object"})
        world.start("slow", *numbered("slow", 150))
        await asyncio.sleep(5)
        world.start("quick", "quick")
        aborted = a_run("slow149", "slow", abort={"message": "enough"})
        world.store.runs.apply(aborted)
        await asyncio.sleep(600)
        return world

    executor = run_virtually(main()).executor
    assert executor.ended["quick"] <= 7, "at most two checks of the other definition come first"
    assert executor.ended["slow149"] <= 6, "it waits for no check, only for its own second"
    assert "slow149" not in executor.checked
    assert sorted(executor.checked) == sorted(["quick", *numbered("slow", 149)]), "each once"


def test_a_run_that_has_begun_needs_no_check() -> None:
    """A limit that was added after its pod needs its value; its input is not validated again."""

    async def main() -> World:
        world = World(1, inputSchema={"type": "object"}, concurrency={"key": "shop"})
        world.start("slow", *numbered("slow", 150))
        await asyncio.sleep(5)
        begun = {"phase": "Running", "reason": "IterationRunning", "current": current("begun-i1")}
        world.store.runs.apply(a_run("begun", "slow", begun))
        await asyncio.sleep(600)
        return world

    assert run_virtually(main()).executor.ended["begun"] <= 8


def test_work_interrupted_by_the_loss_of_the_lease_continues_in_the_next_term() -> None:
    async def main() -> World:
        world = World(10, inputSchema={"type": "object"})
        world.start("slow", *numbered("slow", 5))
        await asyncio.sleep(5)
        world.task.cancel()
        world.start("quick", "quick")  # which is marked while no replica leads
        await asyncio.sleep(5)
        world.lead()
        await asyncio.sleep(300)
        return world

    assert sorted(run_virtually(main()).executor.ended) == sorted(["quick", *numbered("slow", 5)])


def test_an_abort_does_not_wait_for_runs_with_slow_pod_creation() -> None:
    async def main() -> World:
        world = World(30)
        world.start("slow", *numbered("slow", 250))
        await asyncio.sleep(5)
        world.store.runs.apply(a_run("slow249", "slow", abort={"message": "enough"}))
        await asyncio.sleep(600)
        return world

    assert run_virtually(main()).executor.ended["slow249"] <= 36, "only its own half minute, not those of the others"


def test_runs_that_are_being_deleted_or_aborted_form_one_group() -> None:
    store = Store(lambda _key: None, Settings())
    store.runs.apply(a_run("stays", "quick"))
    going = a_run("goes", "quick")
    deletion = msgspec.structs.replace(going.metadata, deletion_timestamp=NOW)
    store.runs.apply(msgspec.structs.replace(going, metadata=deletion))

    store.runs.apply(a_run("aborted", "quick", abort={"message": "enough"}))

    assert group_of(store, Key(KEY.namespace, "aborted")) == (KEY.namespace, None)
    assert group_of(store, Key(KEY.namespace, "stays")) == (KEY.namespace, "quick")
    assert group_of(store, Key(KEY.namespace, "goes")) == (KEY.namespace, None)
    assert group_of(store, Key(KEY.namespace, "gone")) == (KEY.namespace, None)
