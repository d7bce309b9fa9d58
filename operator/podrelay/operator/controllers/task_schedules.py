"""The controller of TaskSchedules: reconciles a schedule when a time is due, and when the schedule or a run changes.

One worker at a time reconciles a key. Between processes, the Lease, the names of runs and resource versions ensure
that each time has one run at most.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Final

from podrelay.kube.resources import Key
from podrelay.operator import metrics_of_schedules as metrics
from podrelay.operator.cache.schedules import ScheduleCache
from podrelay.operator.controllers.controller import Controller
from podrelay.operator.controllers.schedule_reconciler import RunRefusedError, ScheduleReconciler
from podrelay.operator.controllers.start_rate import StartRate
from podrelay.operator.controllers.workqueue import WorkQueue
from podrelay.operator.executor.schedules import ScheduleExecutor
from podrelay.operator.leader_election import LeadershipLostError
from podrelay.operator.objects.schedules import TaskScheduleStatus
from podrelay.operator.schedule_planner.plan import StartRun

log = logging.getLogger(__name__)

WORKERS: Final = 16


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
        self._queue = queue
        self._synced = synced
        self._reconciler = ScheduleReconciler(
            schedules, executor, queue.add_after, rate.wait, started=self._has_started, written=_count
        )
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
            await self._reconciler.reconcile(key, timedelta(seconds=now - self._busy_since))
        finally:
            self._in_progress -= 1

    def _has_started(self, key: Key, action: StartRun) -> None:
        late = max(0.0, (self._schedules.now() - action.due).total_seconds())
        if action.backfill is None:
            metrics.LATE_SECONDS.observe(late)
        metrics.STARTED.inc()
        extra = {"schedule": str(key), "run": action.name, "late_seconds": round(late, 3)}
        log.info("run of a schedule started", extra=extra)


def _count(before: TaskScheduleStatus, after: TaskScheduleStatus) -> None:
    metrics.TIMES.labels("missed").inc(max(0, after.missed - before.missed))
    for reason in ("overlap", "buffer_full", "replaced", "suspended", "name_taken"):
        number = getattr(after.skipped, reason) - getattr(before.skipped, reason)
        metrics.TIMES.labels(reason).inc(max(0, number))
