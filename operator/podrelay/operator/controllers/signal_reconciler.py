"""Reconciles one TaskSignal: view, plan, act. Needs no event loop, so that local runs can use it, too."""

from collections.abc import Callable
from typing import Final

from podrelay.kube.resources import Key
from podrelay.operator.cache.store import Store
from podrelay.operator.executor.signals import SignalExecutor
from podrelay.operator.objects.signals import TaskSignal
from podrelay.operator.signal_planner import planner
from podrelay.operator.signal_planner.plan import Accept, Adopt, CheckPayload, Delete, Plan, Reject
from podrelay.operator.signal_planner.view import SignalView

_STEPS: Final = 5
"""Adopted, checked, accepted: a signal needs three plans at most, unless it changes meanwhile."""


class SignalReconciler:
    """Judges signals.

    Args:
        store: the cache.
        executor: carries out what is planned.
        requeue: called with a key and the number of seconds after which it must be reconciled again.
    """

    def __init__(self, store: Store, executor: SignalExecutor, requeue: Callable[[Key, float], None]) -> None:
        self._store = store
        self._executor = executor
        self._requeue = requeue

    async def reconcile(self, key: Key) -> None:
        """Judge a signal.

        Raises:
            ApiError, TransportError, TimeoutError: a request failed.
        """
        problem: str | None = None
        for _ in range(_STEPS):
            signal = self._store.inboxes.signal(key)
            if signal is None:
                return
            if self._store.inboxes.is_accepted(signal):
                problem = ""  # it is judged again because its run has finished, or the definition has changed
            view = self._view(key, signal, problem)
            plan = planner.plan(view)
            match plan.action:
                case None:
                    self._wait(key, view, plan)
                    return
                case Accept():
                    self._store.inboxes.accept(signal)
                    return
                case CheckPayload() as action:
                    problem = await self._executor.check(signal, action)
                case Adopt() as action:
                    await self._executor.adopt(signal, action)
                case Reject() as action:
                    await self._executor.reject(signal, action)
                case Delete() as action:
                    await self._executor.delete(signal, action)
        self._requeue(key, 1.0)

    def _view(self, key: Key, signal: TaskSignal, problem: str | None) -> SignalView:
        store = self._store
        run = store.run(Key(key.namespace, signal.spec.task_run))
        return SignalView(
            signal=signal,
            run=run,
            definition=store.definition(key.namespace, run.spec.definition) if run is not None else None,
            now=store.now(),
            created_by=store.created_by(run) if run is not None else None,
            has_decided=store.inboxes.has_decided(signal),
            payload_problem=problem,
        )

    def _wait(self, key: Key, view: SignalView, plan: Plan) -> None:
        if plan.requeue_at is not None:
            self._requeue(key, (plan.requeue_at - view.now).total_seconds())
