"""Assemble and run the gateway: `podrelay gateway`."""

import argparse
import asyncio
import contextlib
import gc
import logging
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Final

import uvloop
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from strawberry.http.exceptions import WebSocketDisconnected

from podrelay import logs
from podrelay.api.errors import PodrelayError
from podrelay.gateway import metrics
from podrelay.gateway.access import Access
from podrelay.gateway.apiclient import CountingClient
from podrelay.gateway.cache import Cache
from podrelay.gateway.call import Limits, Services
from podrelay.gateway.documents.shapes import DocumentLimits
from podrelay.gateway.event_loop import garbage
from podrelay.gateway.http import connections, dashboard, graphiql
from podrelay.gateway.http.certificates import Certificate
from podrelay.gateway.http.connections import Connections
from podrelay.gateway.http.server import LOOPBACK, ServerOptions, application
from podrelay.gateway.impersonating import Impersonation
from podrelay.gateway.objects import Definition, Record, Run, ScheduleIdentity
from podrelay.gateway.schema.build import Schema, build
from podrelay.kube import config
from podrelay.kube.client import Client
from podrelay.kube.reflector import Reflector
from podrelay.kube.resources import TASK_DEFINITIONS, TASK_ITERATIONS, TASK_RUNS, TASK_SCHEDULES

log = logging.getLogger(__name__)

NESTING: Final = 11_000
"""Python's recursion limit: parsers recurse, and the API server accepts JSON that is nested 10,000 levels deep."""
CALLS_IN_FLIGHT: Final = 64
"""Concurrent requests to the API server; its own priority and fairness limits each caller."""
SCRAPERS: Final = 20
"""Connections for metrics at the same time."""
SHUTDOWN_SECONDS: Final = 10.0
TURN_SECONDS: Final = 0.001
"""Python's switch interval: how long the thread that parses documents may block the event loop. The default is 5 ms."""

_SUBSCRIPTIONS_LOG: Final = logging.getLogger("strawberry.ws.task")
_SERVER_LOG: Final = logging.getLogger(f"{__name__}.http")


class OptionsError(PodrelayError):
    """Flags that contradict each other or would make the gateway unsafe; the message says what to set."""


def run(arguments: argparse.Namespace) -> int:
    """Run the gateway until SIGTERM or SIGINT; return the exit code: 0 after a signal, 1 otherwise."""
    logs.configure(as_json=arguments.log_format == "json", verbose=arguments.verbose)
    sys.setrecursionlimit(NESTING)
    gc.set_threshold(*garbage.THRESHOLDS)
    sys.setswitchinterval(TURN_SECONDS)
    try:
        check(arguments)
        return uvloop.run(_serve_until_signal(arguments))
    except (PodrelayError, OSError, ValueError) as error:  # for example an invalid address or certificate
        print(f"podrelay gateway: {error}", file=sys.stderr)
        return 1


def check(arguments: argparse.Namespace) -> None:
    """Check that tokens are encrypted, that other machines cannot use the gateway's credentials, and that flags agree.

    Raises:
        OptionsError: one of these is not the case.
    """
    is_local = _is_local(arguments.listen)
    if bool(arguments.tls_cert) is not bool(arguments.tls_key):
        raise OptionsError("--tls-cert and --tls-key must be set together")
    if arguments.auth == "none" and not is_local:
        raise OptionsError(f"--auth=none requires a loopback address, not {arguments.listen!r}")
    if arguments.auth == "none" and arguments.metrics_listen and not _is_local(arguments.metrics_listen):
        raise OptionsError(f"--auth=none requires a loopback address, not {arguments.metrics_listen!r}")
    if not is_local and not arguments.tls_cert and not arguments.behind_tls_proxy:
        raise OptionsError(
            f"--listen {arguments.listen} would receive tokens in plain text: set --tls-cert and --tls-key, or "
            "--behind-tls-proxy if a proxy in front of the gateway terminates TLS"
        )
    if arguments.audience and arguments.auth == "none":
        raise OptionsError("--audience cannot be used with --auth=none, where callers send no tokens")
    if arguments.impersonate_group and not arguments.audience:
        raise OptionsError("--impersonate-group has no effect without --audience")
    if "*" in arguments.allow_origin:
        raise OptionsError(
            "--allow-origin does not accept *: set it for each origin, such as https://console.example.com"
        )
    if arguments.graphiql and arguments.no_introspection:
        raise OptionsError("--graphiql needs the schema, which --no-introspection hides: remove one of the two flags")


def _is_local(listen: str) -> bool:
    return listen.rpartition(":")[0].strip("[]") in LOOPBACK


async def _serve_until_signal(arguments: argparse.Namespace) -> int:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with running(arguments) as address:
        log.info("gateway started", extra={"listen": address, "auth": arguments.auth})
        await stop.wait()
        log.info("stopping")
    return 0


@asynccontextmanager
async def running(arguments: argparse.Namespace) -> AsyncIterator[str]:
    """Run the gateway in this event loop; yield the address that it listens on.

    Raises:
        PodrelayError: no cluster is configured, or GraphiQL is enabled and its files are missing.
        OSError: the address or the certificate cannot be used.
    """
    connection = config.load(arguments.kubeconfig, arguments.context)
    bare = config.load(arguments.kubeconfig, arguments.context, with_credentials=False)
    certificate = Certificate(arguments.tls_cert, arguments.tls_key) if arguments.tls_cert else None
    namespace = arguments.default_namespace or connection.namespace
    pages = _pages(arguments, namespace)
    async with contextlib.AsyncExitStack() as stack:
        own = await stack.enter_async_context(_client(connection))
        callers = await stack.enter_async_context(_client(bare))
        cache, guarded = Cache(), Connections(arguments.max_connections)
        reflectors = _reflectors(own, cache, arguments.namespace)
        cache.watches.extend(reflectors)
        access = Access(
            callers if arguments.auth == "token" else None,
            own,
            lambda: cache.is_stale,
            time.monotonic,
            Impersonation(arguments.audience, frozenset(arguments.impersonate_group)) if arguments.audience else None,
        )
        services = Services(
            cache,
            access,
            Limits(arguments.max_page, arguments.max_subscriptions, arguments.max_seconds, arguments.max_batch),
            default_retention_days=arguments.default_ttl_days,
        )
        stack.push_async_callback(services.checker.close)
        app = application(
            _schema(arguments),
            services,
            ServerOptions(
                namespace,
                tuple(arguments.allow_origin),
                loopback_only=arguments.auth == "none",
                served=frozenset(arguments.namespace),
                is_tls=bool(arguments.tls_cert) or arguments.behind_tls_proxy,
            ),
            lambda: all(reflector.synced.is_set() for reflector in reflectors),
            pages,
            guarded,
        )
        everything = [*reflectors, *_of_schedules(own, cache, arguments.namespace)]
        tasks = [asyncio.create_task(reflector.run()) for reflector in everything]
        tasks.append(asyncio.create_task(_report_when_synced(reflectors, cache)))
        if certificate is not None:
            tasks.append(asyncio.create_task(certificate.keep_current()))
        stack.push_async_callback(_end, tasks)
        _SERVER_LOG.addFilter(_is_not_bad_request)
        _SUBSCRIPTIONS_LOG.addFilter(_is_not_disconnect)
        if arguments.metrics_listen:
            metrics.observe(cache.collections(), cache.stale_seconds, services.subscriptions.total)
            of_metrics = Connections(SCRAPERS)
            address = await _serve(stack, metrics.application(), arguments.metrics_listen, of_metrics)
            log.info("metrics served", extra={"metrics": address})
        yield await _serve(stack, app, arguments.listen, guarded, certificate)


def _pages(arguments: argparse.Namespace, namespace: str) -> list[web.RouteDef]:
    pages: list[web.RouteDef] = []
    if arguments.graphiql:
        pages += graphiql.pages(namespace, asks_for_token=arguments.auth == "token")
    if arguments.dashboard:
        pages += dashboard.pages(namespace, has_graphiql=arguments.graphiql)
    return pages


def _client(connection: config.Connection) -> CountingClient:
    return CountingClient(connection, "podrelay-gateway", max_in_flight=CALLS_IN_FLIGHT)


def _schema(arguments: argparse.Namespace) -> Schema:
    return build(
        DocumentLimits(
            depth=arguments.max_depth,
            aliases=arguments.max_aliases,
            tokens=arguments.max_tokens,
            size=arguments.max_document,
            introspection=not arguments.no_introspection,
        )
    )


async def _end(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _reflectors(client: Client, cache: Cache, namespaces: list[str]) -> list[Reflector[Any]]:
    reflectors: list[Reflector[Any]] = []
    for namespace in namespaces or (None,):
        reflectors += (
            Reflector(client, TASK_DEFINITIONS, Definition, cache.definitions, namespace=namespace),
            Reflector(client, TASK_RUNS, Run, cache.runs, namespace=namespace),
            Reflector(client, TASK_ITERATIONS, Record, cache.records, namespace=namespace),
        )
    return reflectors


def _of_schedules(client: Client, cache: Cache, namespaces: list[str]) -> list[Reflector[Any]]:
    """Return the reflectors for subscriptions to schedules; the gateway is ready without them."""

    def denied(message: str) -> None:
        log.info("subscriptions to schedules show no changes: %s", message)

    reflect = partial(Reflector, client, TASK_SCHEDULES, ScheduleIdentity, cache.schedules, denied=denied)
    return [reflect(namespace=namespace) for namespace in namespaces or (None,)]


def _is_not_disconnect(record: logging.LogRecord) -> bool:
    """Filter out what strawberry logs when a client disconnects while a message is being sent to it."""
    return not (record.exc_info and isinstance(record.exc_info[1], WebSocketDisconnected))


def _is_not_bad_request(record: logging.LogRecord) -> bool:
    """Filter out what aiohttp logs about requests that it cannot parse: it quotes their headers, including tokens."""
    return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError | web.RequestPayloadError))


async def _report_when_synced(reflectors: list[Reflector[Any]], cache: Cache) -> None:
    for reflector in reflectors:
        await reflector.synced.wait()
    # Modules, schema and indexes stay in memory; if the collector traversed them again, all requests would wait for it.
    gc.collect()
    gc.freeze()
    log.info("caches filled", extra={"runs": len(cache.runs), "records": len(cache.records)})


async def _serve(
    stack: contextlib.AsyncExitStack,
    app: web.Application,
    listen: str,
    guarded: Connections,
    certificate: Certificate | None = None,
) -> str:
    """Serve `app` at `listen` (host:port) until the stack is closed; return the address in use."""
    runner = web.AppRunner(
        app,
        access_log=None,
        logger=_SERVER_LOG,
        shutdown_timeout=SHUTDOWN_SECONDS,
        keepalive_timeout=connections.IDLE_SECONDS,
    )
    stack.push_async_callback(runner.cleanup)
    await runner.setup()
    return await connections.serve(stack, runner, listen, guarded, certificate.context if certificate else None)
