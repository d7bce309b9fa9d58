"""The reconcile loop: takes a key, looks, plans, acts, and looks again until there is nothing left to do.

Each key is worked on by one worker at a time, so a run is never planned twice at once within a process; between
processes the Lease, names and resource versions see to that.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import ClassVar

import aiohttp

from podrelay.api.errors import PodrelayError
from podrelay.kube.errors import ApiError
from podrelay.reconciler import metrics, planner
from podrelay.reconciler.executor import Executor
from podrelay.reconciler.lease import LeadershipLostError
from podrelay.reconciler.objects import FINISHED
from podrelay.reconciler.queue import WorkQueue
from podrelay.reconciler.store import Key, Store
from podrelay.reconciler.view import ReleasePod

log = logging.getLogger(__name__)

WORKERS = 16
MAX_STEPS = 20
"""Looks at one run in a row. A healthy run needs three or four; one that needs more is waited for with backoff."""


class NotSettledError(PodrelayError):
    """A run that there is always something left to do for: what is done for it does not show."""

    reason: ClassVar[str] = "NotSettled"


class ReconcileLoop:
    """Workers over a queue of keys.

    Args:
        store: what is known.
        executor: what can be done.
        queue: which runs to look at.
        clock: returns the current time, aware, UTC.
    """

    def __init__(
        self,
        store: Store,
        executor: Executor,
        queue: WorkQueue[Key],
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._store = store
        self._executor = executor
        self._queue = queue
        self._clock = clock

    async def run(self) -> None:
        """Work until cancelled, or until leadership is lost.

        Raises:
            LeadershipLostError: the Lease is not ours any more; nothing was written since.
        """
        self._store.slots.open()
        async with asyncio.TaskGroup() as group:
            for _ in range(WORKERS):
                group.create_task(self._work())

    async def _work(self) -> None:
        while True:
            key = await self._queue.get()
            started = time.perf_counter()
            try:
                await self.reconcile(key)
            except LeadershipLostError:
                raise
            except (PodrelayError, aiohttp.ClientError, TimeoutError) as error:
                self._retry(key, error)
            except Exception as error:
                log.exception("unexpected error", extra={"run": str(key)})
                self._retry(key, error)
            else:
                self._queue.succeeded(key)
                metrics.RECONCILES.labels("ok").inc()
            finally:
                metrics.RECONCILE_SECONDS.observe(time.perf_counter() - started)
                self._queue.done(key)

    def _retry(self, key: Key, error: Exception) -> None:
        at_least = error.retry_after or 0.0 if isinstance(error, ApiError) else 0.0
        delay = self._queue.retry(key, at_least)
        metrics.RECONCILES.labels("error").inc()
        log.warning(
            "reconcile failed: %s",
            str(error) or type(error).__name__,
            extra={"run": str(key), "retry_seconds": round(delay, 2)},
        )

    async def reconcile(self, key: Key) -> None:
        """Bring one run as far as it can get now.

        Raises:
            NotSettledError: there is still something to do.
            as `Executor.carry_out`.
        """
        for _ in range(MAX_STEPS):
            view = self._store.view(key)
            if view is None:
                await self._let_go(key)
                return
            plan = planner.plan(view, self._clock())
            if plan.actions:
                for action in plan.actions:
                    await self._executor.carry_out(key, view, action)
            elif plan.status is not None and plan.status != view.run.status:
                await self._executor.write_status(key, view, plan)
                self._tell(key, view.run.status.phase, plan.status.phase, plan.status.reason)
            else:
                if plan.requeue_at is not None:
                    self._queue.add_after(key, (plan.requeue_at - self._clock()).total_seconds())
                return
        raise NotSettledError(f"not settled after {MAX_STEPS} steps")

    async def _let_go(self, key: Key) -> None:
        """Do what is left to do for pods whose run is no more."""
        for action in planner.plan_without_run(self._store.pods.of(key)).actions:
            if isinstance(action, ReleasePod):
                await self._executor.release_pod(key, action.pod)

    def _tell(self, key: Key, before: str | None, phase: str | None, reason: str | None) -> None:
        if phase in FINISHED and before not in FINISHED:
            metrics.FINISHED.labels(phase).inc()
            log.info("run finished", extra={"run": str(key), "phase": phase, "reason": reason})
