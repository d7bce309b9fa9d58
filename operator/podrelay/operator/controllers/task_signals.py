"""The controller of TaskSignals: judges each signal once, apart from the runs, so that a flood delays no run."""

from collections.abc import Awaitable, Callable
from typing import Final

from podrelay.kube.resources import Key
from podrelay.operator.cache.store import Store
from podrelay.operator.controllers.controller import Controller
from podrelay.operator.controllers.signal_reconciler import SignalReconciler
from podrelay.operator.controllers.workqueue import WorkQueue
from podrelay.operator.executor.signals import SignalExecutor
from podrelay.operator.leader_election import LeadershipLostError

WORKERS: Final = 4
"""Fewer than for runs: signals of a flood are mostly written to, which takes the API server longer than a plan."""


def group_of(store: Store, key: Key) -> tuple[str, str | None]:
    """Return the group of a signal in the work queue: namespaces take turns, and so do the runs of a namespace."""
    signal = store.inboxes.signal(key)
    return key.namespace, signal.spec.task_run if signal is not None else None


class TaskSignalController:
    """Judges signals.

    Args:
        store: the cache.
        executor: carries out what is planned.
        queue: the keys of signals.
        synced: waits until all signals have been listed once.
    """

    def __init__(
        self, store: Store, executor: SignalExecutor, queue: WorkQueue[Key], synced: Callable[[], Awaitable[None]]
    ) -> None:
        self._queue = queue
        self._synced = synced
        self._reconciler = SignalReconciler(store, executor, queue.add_after)

    async def run(self) -> None:
        """Judge signals until cancelled, or until leadership is lost.

        Raises:
            LeadershipLostError: this replica no longer holds the Lease.
        """
        await self._synced()
        await Controller(
            self._queue,
            self._reconciler.reconcile,
            failed="signal not judged",
            kind="signal",
            workers=WORKERS,
            fatal=(LeadershipLostError,),
        ).run()
