"""Reconciles one TaskRun: view, plan, act, until nothing remains to be done. Also used by local runs."""

import logging
from collections.abc import Callable
from typing import ClassVar, Protocol

from podrelay.api.errors import PodrelayError
from podrelay.api.phases import FINISHED
from podrelay.kube.resources import Key
from podrelay.operator.cache.store import Store
from podrelay.operator.objects.runs import TaskRun, TaskRunStatus
from podrelay.operator.plan import Action, Plan, ReleasePod
from podrelay.operator.planner import planner
from podrelay.operator.pods import Pod
from podrelay.operator.view import View

log = logging.getLogger(__name__)

MAX_STEPS = 20
"""Consecutive plans for one run. A healthy run needs three or four; one that needs more is retried with backoff."""


class NotSettledError(PodrelayError):
    """The run did not converge: its actions have no visible effect."""

    reason: ClassVar[str] = "NotSettled"


class Executor(Protocol):
    """Carries plans out; see `podrelay.operator.executor.executor.Executor`."""

    async def carry_out(self, key: Key, view: View, action: Action) -> None:
        """Carry out one action."""

    async def write_status(self, key: Key, view: View, plan: Plan) -> bool:
        """Write the status of a plan; return whether it was written."""

    async def release_pod(self, key: Key, pod: Pod) -> None:
        """Remove the operator's finalizer from a pod whose run was deleted."""


class Reconciler:
    """Carries out what is due for a run now.

    Args:
        store: the cache.
        executor: carries out what is planned.
        requeue: called with a key and the number of seconds after which it must be reconciled again.
        refresh: called before each read of the cache.
        defers: called with each action; returns whether the action is carried out elsewhere, after which the run is
            reconciled again.
        changed: called after a status was written, with the run before the write, and the status.
    """

    def __init__(
        self,
        store: Store,
        executor: Executor,
        requeue: Callable[[Key, float], None],
        *,
        refresh: Callable[[], None] = lambda: None,
        defers: Callable[[Key, View, Action], bool] = lambda _key, _view, _action: False,
        changed: Callable[[TaskRun, TaskRunStatus], None] = lambda _run, _status: None,
    ) -> None:
        self._store = store
        self._executor = executor
        self._requeue = requeue
        self._refresh = refresh
        self._defers = defers
        self._changed = changed

    async def reconcile(self, key: Key) -> None:
        """Carry out everything that is due for one run now.

        Raises:
            NotSettledError: something is still due after `MAX_STEPS` plans.
            Exception: as `Executor.carry_out`.
        """
        for _ in range(MAX_STEPS):
            self._refresh()
            view = self._store.view(key)
            if view is None:
                await self._release_pods(key)
                return
            plan = planner.plan(view)
            actions = [action for action in plan.actions if not self._defers(key, view, action)]
            if actions:
                for action in actions:
                    await self._executor.carry_out(key, view, action)
            elif plan.actions:
                return
            elif plan.status is not None and plan.status != view.run.status:
                if await self._executor.write_status(key, view, plan):
                    self._written(key, view.run, plan.status)
            else:
                if plan.requeue_at is not None:
                    self._requeue(key, (plan.requeue_at - view.now).total_seconds())
                return
        raise NotSettledError(f"not settled after {MAX_STEPS} steps")

    async def _release_pods(self, key: Key) -> None:
        """Release the pods of a run that was deleted."""
        for action in planner.plan_without_run(self._store.pods.of(key)).actions:
            if isinstance(action, ReleasePod):
                await self._executor.release_pod(key, action.pod)

    def _written(self, key: Key, run: TaskRun, status: TaskRunStatus) -> None:
        self._changed(run, status)
        if status.phase in FINISHED and run.status.phase not in FINISHED:
            log.info("run finished", extra={"run": str(key), "phase": status.phase, "reason": status.reason})
