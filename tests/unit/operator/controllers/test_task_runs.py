"""The reconcile loop: an error of one run does not affect others, unless the Lease is lost."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from podrelay.kube.errors import ApiError
from podrelay.kube.resources import Key
from podrelay.operator.cache.store import Store
from podrelay.operator.controllers.reconciler import MAX_STEPS
from podrelay.operator.controllers.task_runs import TaskRunController
from podrelay.operator.controllers.workqueue import WorkQueue
from podrelay.operator.leader_election import LeadershipLostError
from podrelay.operator.plan import Action, Plan
from podrelay.operator.view import Settings, View
from tests.unit.operator.builders import NOW, later, task_definition, task_run
from tests.unit.operator.virtual_time import now, run_virtually


class FakeExecutor:
    """Does nothing, or what a test sets."""

    def __init__(self, effect: Callable[[Key], None]) -> None:
        self.effect = effect
        self.done: list[tuple[str, float]] = []

    async def carry_out(self, key: Key, _view: View, _action: Action) -> None:
        self.done.append((key.name, now()))
        await asyncio.sleep(0)
        self.effect(key)

    async def write_status(self, key: Key, _view: View, _plan: Plan) -> None:
        self.done.append((key.name, now()))
        self.effect(key)

    def times(self, name: str) -> list[float]:
        return [moment for key, moment in self.done if key == name]


def a_loop(effect: Callable[[Key], None], *runs: Any) -> tuple[TaskRunController, FakeExecutor, Store]:
    queue: WorkQueue[Key] = WorkQueue()
    store = Store(queue.add, Settings(), clock=lambda: later(now()))
    store.definitions.apply(task_definition())
    for run in runs:
        store.runs.apply(run)
    executor = FakeExecutor(effect)
    return TaskRunController(store, executor, queue), executor, store  # type: ignore[arg-type]


@pytest.mark.parametrize("error", [ApiError(500, "", "no"), TimeoutError(), ValueError("a bug")])
def test_an_error_with_one_run_does_not_stop_the_others(error: Exception) -> None:
    async def main() -> None:
        def effect(key: Key) -> None:
            if key.name == "bad":
                raise error
            store.runs.apply(task_run({"phase": "Succeeded"}, name=key.name, uid=key.name))

        loop, executor, store = a_loop(effect, task_run(name="bad", uid="bad"), task_run(name="good", uid="good"))
        task = asyncio.create_task(loop.run())
        await asyncio.sleep(600)

        assert not task.done()
        assert executor.times("good") == [0]
        assert 10 <= len(executor.times("bad")) <= 25, "it is retried, with growing pauses"

    run_virtually(main())


def test_a_lost_lease_ends_the_loop() -> None:
    def effect(_key: Key) -> None:
        raise LeadershipLostError("late")

    async def main() -> None:
        loop, _, _ = a_loop(effect, task_run())
        with pytest.raises(ExceptionGroup) as caught:
            await loop.run()
        assert caught.group_contains(LeadershipLostError)

    run_virtually(main())


def test_retry_after_is_obeyed() -> None:
    def effect(_key: Key) -> None:
        raise ApiError(429, "TooManyRequests", "later", 17)

    async def main() -> None:
        loop, executor, _ = a_loop(effect, task_run())
        task = asyncio.create_task(loop.run())
        await asyncio.sleep(20)
        assert executor.times("words") == [0, 17]
        task.cancel()

    run_virtually(main())


def test_a_run_whose_actions_have_no_effect_is_not_a_busy_loop() -> None:
    async def main() -> None:
        loop, executor, _ = a_loop(lambda _key: None, task_run())
        task = asyncio.create_task(loop.run())
        await asyncio.sleep(600)
        task.cancel()

        assert len(executor.times("words")) <= 25 * MAX_STEPS

    run_virtually(main())


def test_a_run_comes_back_when_its_plan_says_so() -> None:
    waits = task_run({"phase": "Succeeded", "finishedAt": NOW}, ttlSecondsAfterFinished=60)

    async def main() -> None:
        loop, executor, store = a_loop(lambda key: store.runs.forget(key, key.name, "uid-run"), waits)
        task = asyncio.create_task(loop.run())
        await asyncio.sleep(120)
        task.cancel()

        assert executor.times("words") == [60]

    run_virtually(main())


def test_a_deleted_run_needs_nothing() -> None:
    async def main() -> None:
        loop, executor, _ = a_loop(lambda _key: None)
        await loop._reconcile(Key("shop", "missing"))
        assert executor.done == []

    run_virtually(main())
