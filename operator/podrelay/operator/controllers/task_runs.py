"""The reconcile loop: takes a key, looks, plans, acts, and looks again until there is nothing left to do.

Each key is worked on by one worker at a time, so a run is never planned twice at once within a process; between
processes the Lease, names and resource versions see to that.

Inputs that have to be checked against a schema, which may take a second each, have a line of their own: the run is let
go meanwhile, so that an abort of it, too, is seen at once.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import ClassVar

from podrelay.api.errors import PodrelayError
from podrelay.api.phases import FINISHED
from podrelay.kube.resources import Key
from podrelay.operator import metrics, object_rules
from podrelay.operator.cache.store import Store
from podrelay.operator.controllers.controller import work
from podrelay.operator.controllers.workqueue import WorkQueue
from podrelay.operator.executor.executor import Executor
from podrelay.operator.leader_election import LeadershipLostError
from podrelay.operator.objects import TaskRun, TaskRunStatus
from podrelay.operator.planner import planner
from podrelay.operator.view import Action, ReadInput, ReleasePod, View

log = logging.getLogger(__name__)

WORKERS = 16
CHECKS = 2
"""Inputs that are looked at together: one is read while another is checked."""
CHECK_SECONDS = 30.0
"""A run whose check has not come by then is looked at again: its check may have ended with the Lease."""
MAX_STEPS = 20
"""Looks at one run in a row. A healthy run needs three or four; one that needs more is waited for with backoff."""


class NotSettledError(PodrelayError):
    """A run that there is always something left to do for: what is done for it does not show."""

    reason: ClassVar[str] = "NotSettled"


def group_of(store: Store, key: Key) -> tuple[str, str | None]:
    """Return who a run takes turns with: namespaces with each other, within one the definitions.

    The runs of a namespace that are being deleted or aborted have one turn together: hundreds of them hold no new one
    up, and no burst of new ones holds them up.
    """
    run = store.run(key)
    if run is None or run.metadata.deletion_timestamp is not None or run.spec.abort is not None:
        return key.namespace, None
    return key.namespace, run.spec.definition


class ReconcileLoop:
    """Workers over a queue of keys.

    Args:
        store: what is known.
        executor: what can be done.
        queue: which runs to look at, in turns by `group_of`.
        changed: called when a status was written, with the run as it was, and the status.
        clock: returns the current time, aware, UTC.
    """

    def __init__(
        self,
        store: Store,
        executor: Executor,
        queue: WorkQueue[Key],
        changed: Callable[[TaskRun, TaskRunStatus], None] = lambda _run, _status: None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._store = store
        self._executor = executor
        self._queue = queue
        self._checks: WorkQueue[Key] = WorkQueue(lambda key: group_of(store, key), most_at_work=CHECKS)
        self._changed = changed
        self._clock = clock

    async def run(self) -> None:
        """Work until cancelled, or until leadership is lost.

        Raises:
            LeadershipLostError: the Lease is not ours any more; nothing was written since.
        """
        self._store.slots.open()
        async with asyncio.TaskGroup() as group:
            group.create_task(
                work(
                    self._queue,
                    self._look_at,
                    failed="reconcile failed",
                    about="run",
                    count=WORKERS,
                    fatal=(LeadershipLostError,),
                    held=(NotSettledError,),
                )
            )
            group.create_task(
                work(self._checks, self._check_input, failed="input not checked", about="run", count=CHECKS)
            )

    async def _look_at(self, key: Key) -> None:
        started = time.perf_counter()
        outcome = "error"
        try:
            await self.reconcile(key)
            outcome = "ok"
        finally:
            metrics.RECONCILES.labels(outcome).inc()
            metrics.RECONCILE_SECONDS.observe(time.perf_counter() - started)

    async def _check_input(self, key: Key) -> None:
        """Do what the last look at a run has asked for, if it is still wanted."""
        view = self._store.view(key)
        if view is None:
            return
        for action in planner.plan(view).actions:
            if isinstance(action, ReadInput):
                await self._executor.carry_out(key, view, action)
                self._queue.add(key)

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
            plan = planner.plan(view)
            actions = [action for action in plan.actions if not _is_check(view, action)]
            if len(actions) < len(plan.actions):
                self._checks.add(key)
                self._queue.add_after(key, CHECK_SECONDS)
            if actions:
                for action in actions:
                    await self._executor.carry_out(key, view, action)
            elif plan.actions:
                return  # the check marks the run when it is done
            elif plan.status is not None and plan.status != view.run.status:
                if await self._executor.write_status(key, view, plan):
                    self._tell(key, view.run, plan.status)
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

    def _tell(self, key: Key, run: TaskRun, status: TaskRunStatus) -> None:
        self._changed(run, status)
        if status.phase in FINISHED and run.status.phase not in FINISHED:
            log.info("run finished", extra={"run": str(key), "phase": status.phase, "reason": status.reason})


def _is_check(view: View, action: Action) -> bool:
    """Tell whether an action may take a second, for a schema is looked at; only new runs are held to it."""
    has_schema = view.definition is not None and view.definition.spec.input_schema is not None
    return has_schema and isinstance(action, ReadInput) and object_rules.is_new(view.run.status)
