"""Assembles and runs the operator: `podrelay operator`."""

import argparse
import asyncio
import contextlib
import gc
import logging
import secrets
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from functools import partial
from typing import Any, Final

import uvloop
from prometheus_client import REGISTRY

from podrelay.api.errors import PodrelayError
from podrelay.kube import config, kill_points
from podrelay.kube.api import REQUEST_TIMEOUT_SECONDS
from podrelay.kube.client import Client
from podrelay.kube.resources import Key
from podrelay.operator import health, logs, metrics
from podrelay.operator.controllers.workqueue import WorkQueue
from podrelay.operator.kopf_shell import KopfShell
from podrelay.operator.leader_election import LeaderElection
from podrelay.operator.manager import Manager
from podrelay.operator.policy_check import PolicyCheck
from podrelay.operator.run_metrics import RunMetrics
from podrelay.operator.server_clock import ServerClock
from podrelay.operator.terms import RELEASE_SECONDS
from podrelay.schemas.process import SchemaProcess

log = logging.getLogger(__name__)

NESTING: Final = 11_000
"""Decoders recurse, and the API server accepts JSON of 10,000 levels: such an input must not end the operator."""
GARBAGE: Final = 10_000
"""Python looks for reference cycles after 700 new objects, many times for each run, and finds hardly any."""
RESTART_SECONDS: Final = 2.0
"""Pause before a restart with empty caches, in case several are needed in a row."""


def run(arguments: argparse.Namespace) -> int:
    """Run the operator until SIGTERM or SIGINT; return the exit code: 0 after a signal, 1 otherwise."""
    logs.configure(as_json=arguments.log_format == "json", verbose=arguments.verbose)
    sys.setrecursionlimit(NESTING)
    gc.set_threshold(GARBAGE)
    try:
        return uvloop.run(_Operator(arguments).run())
    except (PodrelayError, OSError) as error:  # OSError: the address of --listen is in use
        print(f"podrelay operator: {error}", file=sys.stderr)
        return 1


class _Operator:
    def __init__(self, arguments: argparse.Namespace) -> None:
        self._arguments = arguments
        self._connection = config.load(arguments.kubeconfig, arguments.context)
        self._manager: Manager

    async def run(self) -> int:
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        async with self._parts() as (lease, parts):
            tasks = [asyncio.create_task(part) for part in parts]
            stopping = asyncio.create_task(stop.wait())
            done, _ = await asyncio.wait([*tasks, stopping], return_when=asyncio.FIRST_COMPLETED)
            for task in (*tasks, stopping):
                task.cancel()
            results = await asyncio.gather(*tasks, stopping, return_exceptions=True)
            if stop.is_set():
                # All writers have stopped, so another replica may begin at once.
                await _release(lease)
                log.info("stopped")
                return 0
            for error in results:
                if isinstance(error, Exception):
                    log.error("ended by %s: %s", type(error).__name__, _innermost(error))
            log.error("%d part(s) ended unexpectedly; the process exits so that it is restarted", len(done))
            return 1

    @contextlib.asynccontextmanager
    async def _parts(self) -> AsyncIterator[tuple[LeaderElection, list[Coroutine[Any, Any, None]]]]:
        arguments = self._arguments
        async with contextlib.AsyncExitStack() as stack:
            client = await stack.enter_async_context(Client(self._connection, "podrelay-operator"))
            # The Lease is renewed even if all sixteen requests of the other client are blocked.
            server_clock = ServerClock()
            metrics.SERVER_CLOCK_AHEAD_SECONDS.set_function(server_clock.seconds_ahead)
            lease_client = await stack.enter_async_context(
                Client(
                    self._connection,
                    "podrelay-operator",
                    write_timeout_seconds=REQUEST_TIMEOUT_SECONDS,
                    dated=server_clock.observe,
                )
            )
            schemas = SchemaProcess()
            stack.push_async_callback(schemas.close)
            lease = LeaderElection(
                lease_client,
                arguments.lease_namespace or self._connection.namespace,
                arguments.lease_name,
                f"{socket.gethostname()}_{secrets.token_hex(4)}",
                arguments.lease_duration,
                restored=self._is_restored,
                server_clock=server_clock,
            )
            figures = RunMetrics()
            REGISTRY.register(figures)
            stack.callback(REGISTRY.unregister, figures)
            new_manager = partial(Manager, arguments, client, lease, schemas, figures, kill_points.put_in(client))
            self._manager = new_manager()
            policies = PolicyCheck(client)
            if arguments.without_policies:
                log.warning("started with --without-policies: not checking whether the admission policies are in force")
            runner, address = await health.serve(
                arguments.listen,
                lambda: self._manager.watches.problem() or lease.problem() or policies.problem,
                lambda: figures.update(self._manager.store, leads=lease.held.is_set()),
            )
            stack.push_async_callback(runner.cleanup)
            shell = self._shell()
            stack.push_async_callback(shell.close)
            self._export(lease)
            log.info(
                "operator started",
                extra={
                    "server": self._connection.server,
                    "namespaces": ",".join(arguments.namespace) or "all",
                    "listen": address,
                },
            )
            parts = [self._manage(new_manager, lease), shell.run()]
            yield lease, parts if arguments.without_policies else [*parts, policies.run()]

    async def _manage(self, new_manager: Callable[[], Manager], lease: LeaderElection) -> None:
        while True:
            await self._manager.run()
            log.warning("starting again with empty caches")
            lease.forget_version()
            await _release(lease)
            await asyncio.sleep(RESTART_SECONDS)
            self._manager = new_manager()
            gc.collect()

    def _is_restored(self) -> None:
        self._manager.restored.set()

    def _shell(self) -> KopfShell:
        loop = asyncio.get_running_loop()
        return KopfShell(
            self._connection,
            tuple(self._arguments.namespace),
            run_seen=lambda key: _call_soon(loop, lambda: self._manager.runs.add(key)),
            definition_seen=lambda key: _call_soon(loop, lambda: self._manager.reviews.add(key)),
        )

    def _export(self, lease: LeaderElection) -> None:
        def of_leader(value: Callable[[WorkQueue[Key]], float]) -> Callable[[], float]:
            # A standby has no workers that the keys could wait for.
            return lambda: value(self._manager.runs) if lease.held.is_set() else 0.0

        metrics.QUEUE_DEPTH.set_function(of_leader(lambda queue: float(len(queue))))
        metrics.QUEUE_OLDEST_SECONDS.set_function(of_leader(lambda queue: queue.oldest_seconds))
        metrics.LEADING.set_function(lambda: float(lease.held.is_set()))
        for kind in ("runs", "pods", "records", "definitions"):
            metrics.CACHED.labels(kind).set_function(partial(self._cached, kind))
        for resource in self._manager.watches.broken_seconds():
            metrics.WATCH_BROKEN_SECONDS.labels(resource).set_function(partial(self._broken_seconds, resource))

    def _cached(self, kind: str) -> float:
        return float(len(getattr(self._manager.store, kind)))

    def _broken_seconds(self, resource: str) -> float:
        return self._manager.watches.broken_seconds()[resource]


async def _release(lease: LeaderElection) -> None:
    """Release the Lease, without waiting long for an API server that does not respond."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(RELEASE_SECONDS):
            await lease.release()


def _innermost(error: BaseException) -> BaseException:
    return _innermost(error.exceptions[0]) if isinstance(error, BaseExceptionGroup) else error


def _call_soon(loop: asyncio.AbstractEventLoop, function: Callable[[], None]) -> None:
    """Call `function` in `loop` from another thread; the loop may be closed while the process ends."""
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(function)
