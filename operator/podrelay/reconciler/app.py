"""The kopf side of the operator: handlers and settings, nothing else.

kopf is the frame: it watches TaskRuns and TaskDefinitions and calls the handlers below, each of which only marks what
is to be looked at. It runs in a thread with an event loop of its own, because it cancels every task that was created
after its start when it ends, and it ends on some errors of the API server; a supervisor then starts it again, while
reflectors, queue and probes go on (docs/decisions/0001-kopf-beside-reflectors.md).
"""

import asyncio
import logging
import threading
from collections.abc import Callable
from typing import Any, Final, cast

import aiohttp
import kopf
import msgspec

from podrelay.api import names
from podrelay.kube.config import Connection
from podrelay.reconciler.metrics import KOPF_RESTARTS
from podrelay.reconciler.objects import TaskDefinition
from podrelay.reconciler.permissions import Permission
from podrelay.reconciler.store import Key

log = logging.getLogger(__name__)

# kopf looks up which kinds of our group there are; discovery is open to everyone, and nothing else is asked for.
PERMISSIONS: Final[tuple[Permission, ...]] = ()

_BACKOFF_SECONDS = (1.0, 60.0)


class _NoDiffBase(kopf.DiffBaseStorage):
    """kopf's memory for handlers of changes. We have none, and it would copy each object several times."""

    def build(self, **_: Any) -> kopf.BodyEssence:
        return cast("kopf.BodyEssence", {})

    def fetch(self, **_: Any) -> None:
        return None

    def store(self, **_: Any) -> None:
        pass


class _NoProgress(kopf.ProgressStorage):
    """kopf's memory of handlers that are under way; the same holds."""

    def fetch(self, **_: Any) -> None:
        return None

    def store(self, **_: Any) -> None:
        pass

    def purge(self, **_: Any) -> None:
        pass

    def touch(self, **_: Any) -> None:
        pass

    def clear(self, *, essence: kopf.BodyEssence) -> kopf.BodyEssence:
        return essence


class KopfShell:
    """Runs kopf until told to stop.

    Args:
        connection: the API server.
        namespaces: which to watch; empty for all.
        run_seen: called, from kopf's thread, with the key of each TaskRun that kopf sees.
        definition_seen: called with each TaskDefinition as it is now.
        definition_gone: called with the key of each TaskDefinition that was deleted.
    """

    def __init__(
        self,
        connection: Connection,
        namespaces: tuple[str, ...],
        run_seen: Callable[[Key], None],
        definition_seen: Callable[[TaskDefinition], None],
        definition_gone: Callable[[Key], None],
    ) -> None:
        self._connection = connection
        self._namespaces = namespaces
        self._run_seen = run_seen
        self._definition_seen = definition_seen
        self._definition_gone = definition_gone
        self._stopping = threading.Event()

    async def run(self) -> None:
        """Run kopf in its thread, again and again, until cancelled."""
        failures = 0
        try:
            while not self._stopping.is_set():
                started = asyncio.get_running_loop().time()
                error = await asyncio.to_thread(self._run_once)
                if self._stopping.is_set():
                    return
                failures = 0 if asyncio.get_running_loop().time() - started > 300 else failures + 1
                delay = min(_BACKOFF_SECONDS[1], _BACKOFF_SECONDS[0] * 2**failures)
                log.warning("kopf ended, starting it again: %s", error, extra={"retry_seconds": delay})
                KOPF_RESTARTS.inc()
                await asyncio.sleep(delay)
        finally:
            self.stop()

    def stop(self) -> None:
        """Let kopf end; it does so within a second or two."""
        self._stopping.set()

    def _run_once(self) -> str:
        try:
            asyncio.run(self._operate())
        except Exception as error:  # noqa: BLE001 - whatever ends kopf, the supervisor starts it again
            return str(error) or type(error).__name__
        return "without an error"

    async def _operate(self) -> None:
        connector = aiohttp.TCPConnector(limit=0, ssl=self._connection.ssl_context or True)
        async with aiohttp.ClientSession(connector=connector, middlewares=(self._authorize,)) as session:
            await kopf.operator(
                registry=self._registry(session),
                settings=_settings(),
                standalone=True,
                # kopf would ask the password file for a user name, which a container's number need not have.
                identity=cast("Any", "podrelay-operator"),
                clusterwide=not self._namespaces,
                namespaces=self._namespaces,
                stop_flag=self._stopping,
            )

    async def _authorize(
        self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        token = await asyncio.to_thread(self._connection.token)
        if token:
            request.headers["Authorization"] = f"Bearer {token}"
        return await handler(request)

    def _registry(self, session: aiohttp.ClientSession) -> kopf.OperatorRegistry:
        registry = kopf.OperatorRegistry()

        @kopf.on.login(registry=registry)
        async def login(**_: Any) -> kopf.AiohttpSession:
            return kopf.AiohttpSession(aiohttp_session=session, server=self._connection.server)

        @kopf.on.event(names.GROUP, names.VERSION, names.TASK_RUNS, registry=registry)
        async def run_seen(*, namespace: str | None, name: str, **_: Any) -> None:
            self._run_seen(Key(namespace or "", name))

        @kopf.on.event(names.GROUP, names.VERSION, names.TASK_DEFINITIONS, registry=registry)
        async def definition_seen(*, event: kopf.RawEvent, **_: Any) -> None:
            definition = msgspec.convert(event["object"], TaskDefinition)
            if event["type"] == "DELETED":
                self._definition_gone(Key(definition.metadata.namespace, definition.metadata.name))
            else:
                self._definition_seen(definition)

        return registry


def _settings() -> kopf.OperatorSettings:
    settings = kopf.OperatorSettings()
    settings.scanning.disabled = True
    settings.posting.enabled = False
    settings.persistence.diffbase_storage = _NoDiffBase()
    settings.persistence.progress_storage = _NoProgress()
    # kopf would kill the whole process when its own end takes long; ending the process is our own affair.
    settings.process.ultimate_exiting_timeout = None
    settings.watching.server_timeout = 600
    settings.watching.connect_timeout = 5
    return settings
