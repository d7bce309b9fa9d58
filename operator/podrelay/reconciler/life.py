"""A life of the operator: everything that it knows, and the work that follows from it, from an empty memory on.

One life is enough for most processes. When the API server was restored from a backup, though, all that is known is
wrong, and newer than the truth; so a new life begins with nothing, as a new process would.
"""

import asyncio
import logging
from argparse import Namespace
from collections.abc import Sequence
from datetime import timedelta
from functools import partial

from podrelay.kube.api import Api
from podrelay.kube.client import Client
from podrelay.reconciler import metrics, telling
from podrelay.reconciler.clocks import WaitClock
from podrelay.reconciler.counts import Counts
from podrelay.reconciler.events import Events
from podrelay.reconciler.executor import POD_FORBIDDEN, QUOTA_EXCEEDED, Executor
from podrelay.reconciler.figures import Figures
from podrelay.reconciler.lease import LeaderElection
from podrelay.reconciler.loop import ReconcileLoop, group_of
from podrelay.reconciler.objects import FINISHED, TaskRun, TaskRunStatus
from podrelay.reconciler.queue import WorkQueue
from podrelay.reconciler.readiness import Readiness
from podrelay.reconciler.recoveries import Recoveries
from podrelay.reconciler.resources import RESOURCE_QUOTAS, SERVICE_ACCOUNTS
from podrelay.reconciler.retention import Retentions
from podrelay.reconciler.store import Key, Store
from podrelay.reconciler.terms import Part, Terms
from podrelay.reconciler.view import Settings
from podrelay.reconciler.watches import watches_into
from podrelay.schemas.process import SchemaProcess

log = logging.getLogger(__name__)


class Life:
    """What is known, who fills it, and who works by it.

    Args:
        arguments: the flags.
        client: the API server.
        lease: decides who leads.
        schemas: checks inputs.
        figures: counts what has ended.
        acting: what the writes on behalf of runs go through; default: `client`.
    """

    def __init__(
        self,
        arguments: Namespace,
        client: Client,
        lease: LeaderElection,
        schemas: SchemaProcess,
        figures: Figures | None = None,
        acting: Api | None = None,
    ) -> None:
        self._figures = figures or Figures()
        self.restored = asyncio.Event()
        """Set when the API server has gone back in time."""
        clock = WaitClock()
        self.runs: WorkQueue[Key] = WorkQueue(lambda key: group_of(self.store, key), clock=clock)
        self.reviews: WorkQueue[Key] = WorkQueue(_namespace_of, clock=clock)
        counts: WorkQueue[Key] = WorkQueue(_namespace_of, clock=clock)
        retentions = Retentions()
        ttl = timedelta(days=arguments.default_ttl_days) if arguments.default_ttl_days else None
        self.store = Store(
            self.runs.add,
            Settings(
                default_ttl=ttl,
                max_running_pods=arguments.max_running_pods,
                max_running_pods_per_namespace=arguments.max_running_pods_per_namespace or None,
                max_depth=arguments.max_depth,
            ),
            definition_changed=self.reviews.add,
            counted=counts.add,
            mark_later=self.runs.add_after,
            retention_days=retentions.days,
            restored=self.restored.set,
        )
        retentions.changed = self.store.retention_changed
        recoveries = {
            SERVICE_ACCOUNTS: Recoveries(self._account_changed),
            RESOURCE_QUOTAS: Recoveries(lambda namespace: self.store.may_be_taken_now(namespace, {QUOTA_EXCEEDED})),
        }
        self.watches = watches_into(client, self.store, retentions, recoveries, tuple(arguments.namespace))
        self._events = Events(client, dropped=metrics.EVENTS_DROPPED.inc)
        self._executor = Executor(
            acting or client,
            self.store,
            lease,
            schemas=schemas,
            events=self._events,
            count=_count_write,
            reads_logs=not arguments.without_pod_logs,
        )
        self._readiness = Readiness(client, self.store, schemas, self.reviews)
        self._counts = Counts(client, self.store, counts)
        self._has_led = False
        given_away = partial(lease.tell_given_away, self._events)
        self._terms = Terms(lease, self.watches, self._begin_term, given_away)

    async def run(self) -> None:
        """Live until cancelled, or until the API server has gone back in time.

        Raises:
            ExceptionGroup: something has failed that nothing here can mend.
        """
        parts = [*self.watches.parts(), self._terms.run(), self._tell_when_synced()]
        try:
            async with asyncio.TaskGroup() as group:
                for part in parts:
                    group.create_task(part)
                await self.restored.wait()
                raise _Restored  # ends all parts, and waits for them
        except* _Restored:
            pass

    async def _tell_when_synced(self) -> None:
        await self.watches.wait_synced()
        log.info("caches filled", extra={"runs": len(self.store.runs), "pods": len(self.store.pods)})

    def _tell_change(self, run: TaskRun, status: TaskRunStatus) -> None:
        self._events.happened(run.metadata, telling.of_change(run.status, status))
        if status.phase in FINISHED and run.status.phase not in FINISHED:
            self._figures.finished(run, status)

    def _account_changed(self, namespace: str | None) -> None:
        self.store.may_be_taken_now(namespace, {POD_FORBIDDEN})
        self._readiness.review_rejected(namespace)

    def _begin_term(self) -> Sequence[Part]:
        self.runs.forgive()
        if self._has_led:
            self.store.begin_term()
        self._has_led = True
        return [
            ReconcileLoop(self.store, self._executor, self.runs, self._tell_change).run(),
            self._events.run(),
            self._readiness.run(),
            self._counts.run(),
        ]


class _Restored(Exception):  # noqa: N818 - no error: the end of a life
    pass


def _namespace_of(key: Key) -> tuple[str]:
    return (key.namespace,)


def _count_write(kind: str) -> None:
    metrics.WRITES.labels(kind).inc()
