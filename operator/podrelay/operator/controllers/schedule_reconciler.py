"""Reconciles one TaskSchedule: view, plan, act, until nothing remains to be done now. Needs no event loop."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Final

from podrelay.api.errors import PodrelayError
from podrelay.kube.resources import Key
from podrelay.operator.cache.schedules import ScheduleCache
from podrelay.operator.executor.schedules import ScheduleExecutor
from podrelay.operator.objects.schedules import TaskScheduleStatus
from podrelay.operator.schedule_planner import planner
from podrelay.operator.schedule_planner.plan import StartRun

STEPS: Final = 50
"""After so many plans in a row, other schedules have their turn."""


class RunRefusedError(PodrelayError):
    """The API server refuses a run of the schedule. It is retried with growing pauses."""

    reason = "RunRefused"


class ScheduleReconciler:
    """Carries out what is due for a schedule now.

    Args:
        schedules: the cache.
        executor: carries out what is planned.
        requeue: called with a key and the number of seconds after which it must be reconciled again.
        permit: called before each creation of a run; returns when it may be created.
        started: called with each run that was created.
        written: called after a status was written, with the status before and after it.
    """

    def __init__(
        self,
        schedules: ScheduleCache,
        executor: ScheduleExecutor,
        requeue: Callable[[Key, float], None],
        permit: Callable[[], Awaitable[None]],
        started: Callable[[Key, StartRun], None] = lambda _key, _action: None,
        written: Callable[[TaskScheduleStatus, TaskScheduleStatus], None] = lambda _before, _after: None,
    ) -> None:
        self._schedules = schedules
        self._executor = executor
        self._requeue = requeue
        self._permit = permit
        self._started = started
        self._written = written

    async def reconcile(self, key: Key, excused: timedelta = timedelta()) -> None:
        """Carry out everything that is due for one schedule now.

        Args:
            key: the schedule.
            excused: how long the operator has been busy starting runs.

        Raises:
            RunRefusedError: the API server refuses a run; the status shows why.
            Exception: as `ScheduleExecutor.carry_out`.
        """
        self._schedules.observations(key).refusal = None
        for _ in range(STEPS):
            view = self._schedules.view(key, excused)
            if view is None:
                return
            plan = planner.plan(view)
            if plan.actions:
                for action in plan.actions:
                    if isinstance(action, StartRun):
                        await self._permit()
                    if await self._executor.carry_out(key, view, action) and isinstance(action, StartRun):
                        self._started(key, action)
            elif plan.status is not None and plan.status != view.schedule.status:
                if await self._executor.write_status(key, view, plan.status):
                    self._written(view.schedule.status, plan.status)
            elif view.refusal is not None:
                raise RunRefusedError(view.refusal)
            elif not plan.is_partial:
                if plan.requeue_at is not None:
                    self._requeue(key, (plan.requeue_at - view.now).total_seconds())
                return
        self._requeue(key, 0.0)
