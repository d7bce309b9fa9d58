"""The caches and workers of the operator, which start empty.

Most processes need one Manager. When the API server was restored from a backup, however, all caches are wrong, and
newer than the real objects; then a new Manager starts with empty caches, as a new process would.
"""

import asyncio
import logging
from argparse import Namespace
from collections.abc import Sequence
from datetime import timedelta
from functools import partial

from podrelay.api.phases import FINISHED
from podrelay.kube.api import Api
from podrelay.kube.client import Client
from podrelay.kube.resources import Key
from podrelay.operator import event_rules, metrics
from podrelay.operator.cache.recoveries import Recoveries
from podrelay.operator.cache.retention import Retentions
from podrelay.operator.cache.schedules import ScheduleCache
from podrelay.operator.cache.store import Store
from podrelay.operator.cache.watches import watches_into
from podrelay.operator.clocks import WaitClock
from podrelay.operator.controllers.definition_counts import DefinitionCountsController
from podrelay.operator.controllers.definition_ready import DefinitionReadyController
from podrelay.operator.controllers.start_rate import StartRate
from podrelay.operator.controllers.task_runs import TaskRunController, group_of
from podrelay.operator.controllers.task_schedules import TaskScheduleController
from podrelay.operator.controllers.task_signals import TaskSignalController
from podrelay.operator.controllers.task_signals import group_of as signal_group_of
from podrelay.operator.controllers.workqueue import WorkQueue
from podrelay.operator.event_recorder import Events
from podrelay.operator.executor.executor import Executor
from podrelay.operator.executor.pods import POD_FORBIDDEN, QUOTA_EXCEEDED
from podrelay.operator.executor.schedules import ScheduleExecutor
from podrelay.operator.leader_election import LeaderElection
from podrelay.operator.objects.runs import TaskRun, TaskRunStatus
from podrelay.operator.resources import RESOURCE_QUOTAS, SERVICE_ACCOUNTS
from podrelay.operator.run_metrics import RunMetrics
from podrelay.operator.terms import Leadership, Part
from podrelay.operator.view import Settings
from podrelay.schemas.process import SchemaProcess

log = logging.getLogger(__name__)


class Manager:
    """The caches, the watches that fill them, and the controllers that use them.

    Args:
        arguments: the flags.
        client: the API server.
        lease: the leader election.
        schemas: validates inputs.
        figures: counts finished runs.
        acting: the client for writes on behalf of runs; default: `client`.
    """

    def __init__(
        self,
        arguments: Namespace,
        client: Client,
        lease: LeaderElection,
        schemas: SchemaProcess,
        figures: RunMetrics | None = None,
        acting: Api | None = None,
    ) -> None:
        self._figures = figures or RunMetrics()
        self._lease = lease
        self.restored = asyncio.Event()
        """Set when the API server has gone back in time."""
        clock = WaitClock()
        self.runs: WorkQueue[Key] = WorkQueue(lambda key: group_of(self.store, key), clock=clock)
        self.reviews: WorkQueue[Key] = WorkQueue(_namespace_of, clock=clock)
        counts: WorkQueue[Key] = WorkQueue(_namespace_of, clock=clock)
        self._schedule_queue: WorkQueue[Key] = WorkQueue(_namespace_of, clock=clock)
        self._signal_queue: WorkQueue[Key] = WorkQueue(lambda key: signal_group_of(self.store, key), clock=clock)
        self._start_rate = StartRate(arguments.max_schedule_starts_per_second)
        self.schedules = ScheduleCache(
            self._schedule_queue.add,
            self.runs.add,
            lambda key: self.store.run(key),  # noqa: PLW0108 - the store is made later
            restored=self.restored.set,
        )
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
            scheduled_run_changed=self.schedules.run_changed,
            is_kept_for_its_schedule=self.schedules.keeps,
            mark_signal=self._signal_queue.add,
        )
        retentions.changed = self.store.retention_changed
        recoveries = {
            SERVICE_ACCOUNTS: Recoveries(self._account_changed),
            RESOURCE_QUOTAS: Recoveries(lambda namespace: self.store.retry_refused(namespace, {QUOTA_EXCEEDED})),
        }
        namespaces = tuple(arguments.namespace)
        self.watches = watches_into(client, self.store, retentions, recoveries, self.schedules, namespaces)
        self.schedules.is_synced = self.watches.has_schedules
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
        self._schedule_executor = ScheduleExecutor(
            acting or client, self.schedules, self.store, lease, count=_count_write
        )
        self._readiness = DefinitionReadyController(client, self.store, schemas, self.reviews)
        self._counts = DefinitionCountsController(client, self.store, counts)
        self._has_led = False
        given_away = partial(lease.report_released, self._events)
        self._leadership = Leadership(lease, self.watches, self._begin_term, given_away)

    async def run(self) -> None:
        """Run until cancelled, or until the API server has gone back in time.

        Raises:
            ExceptionGroup: a part has failed with an error that cannot be handled here.
        """
        parts = [*self.watches.parts(), self._leadership.run(), self._log_when_synced()]
        try:
            async with asyncio.TaskGroup() as group:
                for part in parts:
                    group.create_task(part)
                await self.restored.wait()
                raise _Restored  # ends all parts, and waits for them
        except* _Restored:
            pass

    async def _log_when_synced(self) -> None:
        await self.watches.wait_synced()
        log.info("caches filled", extra={"runs": len(self.store.runs), "pods": len(self.store.pods)})

    def _report_change(self, run: TaskRun, status: TaskRunStatus) -> None:
        self._events.happened(run.metadata, event_rules.of_change(run.status, status))
        if status.phase in FINISHED and run.status.phase not in FINISHED:
            self._figures.finished(run, status)

    def _account_changed(self, namespace: str | None) -> None:
        self.store.retry_refused(namespace, {POD_FORBIDDEN})
        self._readiness.review_rejected(namespace)

    def _begin_term(self) -> Sequence[Part]:
        self.runs.reset_failures()
        if self._has_led:
            self.store.begin_term()
            self.schedules.begin_term()
        self.store.creations.begin_term(self._lease.term())
        self._has_led = True
        return [
            TaskRunController(self.store, self._executor, self.runs, self._report_change).run(),
            self._events.run(),
            self._readiness.run(),
            self._counts.run(),
            TaskSignalController(
                self.store, self._executor.for_signals, self._signal_queue, self.watches.wait_synced_signals
            ).run(),
            TaskScheduleController(
                self.schedules,
                self._schedule_executor,
                self._schedule_queue,
                self._start_rate,
                self.watches.wait_synced_schedules,
            ).run(),
        ]


class _Restored(Exception):  # noqa: N818 - not an error: ends this Manager
    pass


def _namespace_of(key: Key) -> tuple[str]:
    return (key.namespace,)


def _count_write(kind: str) -> None:
    metrics.WRITES.labels(kind).inc()
