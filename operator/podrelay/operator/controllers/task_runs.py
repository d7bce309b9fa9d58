"""The controller of TaskRuns.

Each key is reconciled by one worker at a time, so a process never plans a run twice at once; between processes, the
Lease, names and resource versions ensure that.

Inputs that must be validated against a schema, which may take a second each, have their own queue: the worker is free
meanwhile, so that an abort of the run is handled at once.
"""

import asyncio
import time
from collections.abc import Callable

from podrelay.kube.resources import Key
from podrelay.operator import metrics, object_rules
from podrelay.operator.cache.store import Store
from podrelay.operator.controllers.controller import Controller
from podrelay.operator.controllers.reconciler import Executor, NotSettledError, Reconciler
from podrelay.operator.controllers.workqueue import WorkQueue
from podrelay.operator.leader_election import LeadershipLostError
from podrelay.operator.objects.runs import TaskRun, TaskRunStatus
from podrelay.operator.plan import Action, ReadInput
from podrelay.operator.planner import planner
from podrelay.operator.view import View

WORKERS = 16
CHECKS = 2
"""Inputs that are checked at the same time: one is read while another one is validated."""
CHECK_SECONDS = 30.0
"""After this time, the run is reconciled again: its check may have been cancelled with the loss of the Lease."""


def group_of(store: Store, key: Key) -> tuple[str, str | None]:
    """Return the group of a run in the work queue: namespaces take turns, and so do the definitions of a namespace.

    Runs of a namespace that are being deleted or aborted form one group: hundreds of them do not delay a new run, and a
    burst of new runs does not delay them.
    """
    run = store.run(key)
    if run is None or run.metadata.deletion_timestamp is not None or run.spec.abort is not None:
        return key.namespace, None
    return key.namespace, run.spec.definition


class TaskRunController:
    """Reconciles TaskRuns, and checks their inputs.

    Args:
        store: the cache.
        executor: carries out what is planned.
        queue: keys of runs, in turns by `group_of`.
        changed: called after a status was written, with the run before the write, and the status.
    """

    def __init__(
        self,
        store: Store,
        executor: Executor,
        queue: WorkQueue[Key],
        changed: Callable[[TaskRun, TaskRunStatus], None] = lambda _run, _status: None,
    ) -> None:
        self._store = store
        self._executor = executor
        self._queue = queue
        self._checks: WorkQueue[Key] = WorkQueue(lambda key: group_of(store, key), most_in_progress=CHECKS)
        self._reconciler = Reconciler(store, executor, queue.add_after, defers=self._defers_check, changed=changed)

    async def run(self) -> None:
        """Reconcile until cancelled, or until leadership is lost.

        Raises:
            LeadershipLostError: this replica no longer holds the Lease; it has written nothing since.
        """
        self._store.slots.open()
        runs = Controller(
            self._queue,
            self._reconcile,
            failed="reconcile failed",
            kind="run",
            workers=WORKERS,
            fatal=(LeadershipLostError,),
            held=(NotSettledError,),
        )
        checks = Controller(self._checks, self._check_input, failed="input not checked", kind="run", workers=CHECKS)
        async with asyncio.TaskGroup() as group:
            group.create_task(runs.run())
            group.create_task(checks.run())

    async def _reconcile(self, key: Key) -> None:
        started = time.perf_counter()
        outcome = "error"
        try:
            await self._reconciler.reconcile(key)
            outcome = "ok"
        finally:
            metrics.RECONCILES.labels(outcome).inc()
            metrics.RECONCILE_SECONDS.observe(time.perf_counter() - started)

    def _defers_check(self, key: Key, view: View, action: Action) -> bool:
        """Leave an action to the queue of checks if it involves a schema, because that may take a second."""
        has_schema = view.definition is not None and view.definition.spec.input_schema is not None
        is_check = has_schema and isinstance(action, ReadInput) and object_rules.is_new(view.run.status)
        if is_check:
            self._checks.add(key)
            self._queue.add_after(key, CHECK_SECONDS)
        return is_check

    async def _check_input(self, key: Key) -> None:
        """Read and check the input of a run if its plan still requires that."""
        view = self._store.view(key)
        if view is None:
            return
        for action in planner.plan(view).actions:
            if isinstance(action, ReadInput):
                await self._executor.carry_out(key, view, action)
                self._queue.add(key)
