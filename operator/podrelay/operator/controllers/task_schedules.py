"""The controller of TaskSchedules: plans a schedule, carries the plan out, and comes back when the next time is due."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Final

from podrelay.api.errors import PodrelayError
from podrelay.kube.resources import Key
from podrelay.operator import metrics_of_schedules as metrics
from podrelay.operator.cache.schedules import ScheduleCache
from podrelay.operator.controllers.controller import Controller
from podrelay.operator.controllers.start_rate import StartRate
from podrelay.operator.controllers.workqueue import WorkQueue
from podrelay.operator.executor.schedules import ScheduleExecutor
from podrelay.operator.leader_election import LeadershipLostError
from podrelay.operator.schedule_objects import TaskScheduleStatus
from podrelay.operator.schedule_planner import planner
from podrelay.operator.schedule_planner.plan import StartRun
from podrelay.operator.schedule_planner.view import ScheduleView

log = logging.getLogger(__name__)

WORKERS: Final = 16
STEPS: Final = 50
"""After so many plans in a row, other schedules have their turn."""


class RunRefusedError(PodrelayError):
    """The API server refuses a run of the schedule. It is retried with growing pauses."""

    reason = "RunRefused"


class TaskScheduleController:
    """Reconciles schedules.

    Args:
        schedules: the cache.
        executor: carries out what is planned.
        queue: the keys of schedules.
        rate: limits the creation of runs.
        synced: waits until all schedules have been listed once.
    """

    def __init__(
        self,
        schedules: ScheduleCache,
        executor: ScheduleExecutor,
        queue: WorkQueue[Key],
        rate: StartRate,
        synced: Callable[[], Awaitable[None]],
    ) -> None:
        self._schedules = schedules
        self._executor = executor
        self._queue = queue
        self._rate = rate
        self._synced = synced
        self._in_progress = 0
        self._busy_since = 0.0

    async def run(self) -> None:
        """Reconcile until cancelled, or until leadership is lost.

        Raises:
            LeadershipLostError: this replica no longer holds the Lease.
        """
        await self._synced()
        self._schedules.synced()
        await Controller(
            self._queue,
            self._reconcile,
            failed="schedule not reconciled",
            kind="schedule",
            workers=WORKERS,
            fatal=(LeadershipLostError,),
            held=(RunRefusedError,),
        ).run()

    async def _reconcile(self, key: Key) -> None:
        now = asyncio.get_running_loop().time()
        if not self._in_progress and not len(self._queue):
            self._busy_since = now
        self._in_progress += 1
        try:
            await self._settle(key, timedelta(seconds=now - self._busy_since))
        finally:
            self._in_progress -= 1

    async def _settle(self, key: Key, excused: timedelta) -> None:
        """Carry out what is due for one schedule now."""
        self._schedules.observations(key).refusal = None
        for _ in range(STEPS):
            view = self._schedules.view(key, excused)
            if view is None:
                return
            plan = planner.plan(view)
            if plan.actions:
                for action in plan.actions:
                    if isinstance(action, StartRun):
                        await self._rate.wait()
                        if await self._executor.carry_out(key, view, action):
                            self._has_started(key, view, action)
                    else:
                        await self._executor.carry_out(key, view, action)
                continue
            assert plan.status is not None  # noqa: S101 - a plan without actions has a status
            if plan.status != view.schedule.status:
                if await self._executor.write_status(key, view, plan.status):
                    _count(view.schedule.status, plan.status)
                continue
            if view.refusal is not None:
                raise RunRefusedError(view.refusal)
            if not plan.is_partial:
                if plan.requeue_at is not None:
                    self._queue.add_after(key, (plan.requeue_at - view.now).total_seconds())
                return
        self._queue.add(key)

    def _has_started(self, key: Key, view: ScheduleView, action: StartRun) -> None:
        late = self._schedules.now() - action.due
        if action.backfill is None:
            metrics.LATE_SECONDS.observe(max(0.0, late.total_seconds()))
        metrics.STARTED.inc()
        extra = {"schedule": str(key), "run": action.name, "late_seconds": round(late.total_seconds(), 3)}
        log.info("run of a schedule started", extra=extra)


def _count(before: TaskScheduleStatus, after: TaskScheduleStatus) -> None:
    metrics.TIMES.labels("missed").inc(max(0, after.missed - before.missed))
    for reason in ("overlap", "buffer_full", "replaced", "suspended", "name_taken"):
        number = getattr(after.skipped, reason) - getattr(before.skipped, reason)
        if number > 0:
            metrics.TIMES.labels(reason).inc(number)
