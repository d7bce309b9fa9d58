"""Puts the operator together and runs it: `podrelay operator`."""

import argparse
import asyncio
import contextlib
import gc
import logging
import os
import secrets
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Sized
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any, Final

import uvloop

from podrelay.api.errors import PodrelayError
from podrelay.kube import config
from podrelay.kube.client import PODS, REQUEST_TIMEOUT_SECONDS, Client
from podrelay.kube.reflector import Reflector
from podrelay.reconciler import health, logs, metrics
from podrelay.reconciler.app import KopfShell
from podrelay.reconciler.counts import Counts
from podrelay.reconciler.executor import Executor
from podrelay.reconciler.lease import LeaderElection
from podrelay.reconciler.loop import ReconcileLoop, group_of
from podrelay.reconciler.objects import NamespaceSettings, Pod, Record, TaskDefinition, TaskRun
from podrelay.reconciler.policies import Policies
from podrelay.reconciler.queue import WorkQueue
from podrelay.reconciler.readiness import Readiness
from podrelay.reconciler.resources import (
    CONFIG_MAPS,
    POD_SELECTOR,
    SETTINGS_FIELDS,
    TASK_DEFINITIONS,
    TASK_ITERATIONS,
    TASK_RUNS,
)
from podrelay.reconciler.retention import Retentions
from podrelay.reconciler.schemaprocess import SchemaProcess
from podrelay.reconciler.store import Key, Store
from podrelay.reconciler.view import Settings

log = logging.getLogger(__name__)

ENV_DIE_BEFORE_WRITE: Final = "PODRELAY_TEST_DIE_BEFORE_WRITE"
"""For tests of crashes: the number of the write that the operator does not live to see."""
ENV_DIE_AFTER_WRITE: Final = "PODRELAY_TEST_DIE_AFTER_WRITE"
"""For tests of crashes: the number of the write whose answer the operator does not live to see."""
NESTING: Final = 11_000
"""Decoders recurse, and the API server takes JSON of 10,000 levels: one such input must not end the operator."""
GARBAGE: Final = 10_000
"""Python looks for cycles after 700 new objects, many times for each run, and finds next to none."""
RELEASE_SECONDS: Final = 2.0
"""A stop waits so long for the Lease to be given back; an API server that is away must not hold the process."""


def run(arguments: argparse.Namespace) -> int:
    """Run the operator until SIGTERM or SIGINT; return the exit code: 0 after a signal, 1 otherwise."""
    logs.configure(as_json=arguments.log_format == "json", verbose=arguments.verbose)
    sys.setrecursionlimit(NESTING)
    gc.set_threshold(GARBAGE)
    try:
        return uvloop.run(_Operator(arguments).run())
    except (PodrelayError, OSError) as error:  # OSError: the address of --listen is taken
        print(f"podrelay operator: {error}", file=sys.stderr)
        return 1


@dataclass(frozen=True)
class _Reflection:
    """The reflectors, and whether all of them have listed once that nothing can be planned without."""

    reflectors: tuple[Reflector[Any], ...]
    of_settings: tuple[Reflector[NamespaceSettings], ...]
    """Nobody waits for these: an operator of a chart that was not upgraded may not read settings."""

    @property
    def is_synced(self) -> bool:
        return all(reflector.synced.is_set() for reflector in self.reflectors)

    async def wait_synced(self) -> None:
        for reflector in self.reflectors:
            await reflector.synced.wait()

    def parts(self) -> list[Coroutine[Any, Any, None]]:
        """Return what has to run."""
        return [
            *(reflector.run() for reflector in self.reflectors),
            *(self._after_the_others(reflector) for reflector in self.of_settings),
        ]

    async def _after_the_others(self, reflector: Reflector[Any]) -> None:
        # While roles are being installed everything is refused; if only this is, it is for good.
        await self.wait_synced()
        await reflector.run()


class _Operator:
    def __init__(self, arguments: argparse.Namespace) -> None:
        self._arguments = arguments
        self._connection = config.load(arguments.kubeconfig, arguments.context)
        self._namespaces = tuple(arguments.namespace)

    async def run(self) -> int:
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        async with (
            Client(self._connection, "podrelay-operator") as client,
            # Whatever keeps the other one's sixteen requests under way, the Lease is renewed.
            Client(
                self._connection, "podrelay-operator", write_timeout_seconds=REQUEST_TIMEOUT_SECONDS
            ) as lease_client,
            self._parts(client, lease_client) as (lease, work),
        ):
            tasks = [asyncio.create_task(part) for part in work]
            stopping = asyncio.create_task(stop.wait())
            done, _ = await asyncio.wait([*tasks, stopping], return_when=asyncio.FIRST_COMPLETED)
            for task in (*tasks, stopping):
                task.cancel()
            results = await asyncio.gather(*tasks, stopping, return_exceptions=True)
            if stop.is_set():
                # Everything has stopped writing: another replica may begin at once.
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(RELEASE_SECONDS):
                        await lease.release()
                log.info("stopped")
                return 0
            for error in results:
                if isinstance(error, Exception):
                    log.error("ended by %s: %s", type(error).__name__, _innermost(error))
            log.error("%d part(s) ended unasked; the process ends so that it can be started anew", len(done))
            return 1

    @contextlib.asynccontextmanager
    async def _parts(
        self, client: Client, lease_client: Client
    ) -> AsyncIterator[tuple[LeaderElection, list[Coroutine[Any, Any, None]]]]:
        arguments = self._arguments
        loop = asyncio.get_running_loop()
        queue: WorkQueue[Key] = WorkQueue(lambda key: group_of(store, key))
        reviews: WorkQueue[Key] = WorkQueue(_namespace_of)
        ttl = timedelta(days=arguments.default_ttl_days) if arguments.default_ttl_days else None
        settings = Settings(
            default_ttl=ttl,
            max_running_pods=arguments.max_running_pods,
            max_running_pods_per_namespace=arguments.max_running_pods_per_namespace or None,
            max_depth=arguments.max_depth,
        )
        counts: WorkQueue[Key] = WorkQueue(_namespace_of)
        retentions = Retentions()
        store = Store(
            queue.add,
            settings,
            definition_changed=reviews.add,
            counted=counts.add,
            mark_later=queue.add_after,
            retention_days=retentions.days,
        )
        retentions.changed = store.retention_changed
        schemas = SchemaProcess()
        lease = LeaderElection(
            lease_client,
            arguments.lease_namespace or self._connection.namespace,
            arguments.lease_name,
            f"{socket.gethostname()}_{secrets.token_hex(4)}",
            arguments.lease_duration,
        )
        executor = Executor(
            client,
            store,
            lease,
            schemas=schemas,
            die_before_write=_number(ENV_DIE_BEFORE_WRITE),
            die_after_write=_number(ENV_DIE_AFTER_WRITE),
        )
        reflection = self._reflection(client, store, retentions)
        kopf_shell = KopfShell(
            self._connection,
            self._namespaces,
            run_seen=lambda key: _call_soon(loop, queue.add, key),
            definition_seen=lambda key: _call_soon(loop, reviews.add, key),
        )
        policies = Policies(client)
        if arguments.without_policies:
            log.warning("started with --without-policies: nobody looks whether admission policies are in force")
        runner, address = await health.serve(
            arguments.listen, lambda: policies.problem if reflection.is_synced else "caches are filling"
        )
        self._export(store, queue, lease)
        log.info(
            "operator started",
            extra={
                "server": self._connection.server,
                "namespaces": ",".join(self._namespaces) or "all",
                "listen": address,
            },
        )
        try:
            yield (
                lease,
                [
                    *reflection.parts(),
                    lease.run(),
                    self._work(store, executor, queue, lease, reflection),
                    _review(Readiness(client, store, schemas, reviews), lease),
                    _count(Counts(client, store, counts), lease, reflection),
                    kopf_shell.run(),
                    *([] if arguments.without_policies else [policies.run()]),
                ],
            )
        finally:
            await kopf_shell.close()
            await schemas.close()
            await runner.cleanup()

    def _reflection(self, client: Client, store: Store, retentions: Retentions) -> _Reflection:
        reflectors: list[Reflector[Any]] = []
        of_settings: list[Reflector[NamespaceSettings]] = []
        for namespace in self._namespaces or (None,):
            reflectors += (
                Reflector(client, TASK_DEFINITIONS, TaskDefinition, store.definitions, namespace=namespace),
                Reflector(client, TASK_RUNS, TaskRun, store.runs, namespace=namespace),
                Reflector(client, TASK_ITERATIONS, Record, store.records, namespace=namespace),
                Reflector(client, PODS, Pod, store.pods, namespace=namespace, selector=POD_SELECTOR),
            )
            of_settings.append(
                Reflector(
                    client,
                    CONFIG_MAPS,
                    NamespaceSettings,
                    retentions,
                    namespace=namespace,
                    fields=SETTINGS_FIELDS,
                    denied=partial(retentions.denied, namespace),
                )
            )
        return _Reflection(tuple(reflectors), tuple(of_settings))

    async def _work(
        self,
        store: Store,
        executor: Executor,
        queue: WorkQueue[Key],
        lease: LeaderElection,
        reflection: _Reflection,
    ) -> None:
        # A plan on half of the facts could start a pod that is there already.
        await reflection.wait_synced()
        log.info("caches filled", extra={"runs": len(store.runs), "pods": len(store.pods)})
        await lease.held.wait()
        await ReconcileLoop(store, executor, queue).run()

    def _export(self, store: Store, queue: WorkQueue[Key], lease: LeaderElection) -> None:
        metrics.QUEUE_DEPTH.set_function(lambda: len(queue))
        metrics.QUEUE_OLDEST_SECONDS.set_function(lambda: queue.oldest_seconds)
        metrics.LEADING.set_function(lambda: float(lease.held.is_set()))
        for kind in ("runs", "pods", "records", "definitions"):
            metrics.CACHED.labels(kind).set_function(partial(_size, getattr(store, kind)))


async def _count(counts: Counts, lease: LeaderElection, reflection: _Reflection) -> None:
    await reflection.wait_synced()
    await lease.held.wait()
    await counts.run()


async def _review(reviews: Readiness, lease: LeaderElection) -> None:
    await lease.held.wait()
    await reviews.run()


def _namespace_of(key: Key) -> tuple[str]:
    return (key.namespace,)


def _number(variable: str) -> int | None:
    value = os.environ.get(variable)
    return int(value) if value else None


def _innermost(error: BaseException) -> BaseException:
    return _innermost(error.exceptions[0]) if isinstance(error, BaseExceptionGroup) else error


def _call_soon(loop: asyncio.AbstractEventLoop, function: Callable[..., None], *arguments: Any) -> None:
    """Call `function` in `loop` from another thread; while the process ends there may be no loop to call it in."""
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(function, *arguments)


def _size(collection: Sized) -> float:
    return float(len(collection))
