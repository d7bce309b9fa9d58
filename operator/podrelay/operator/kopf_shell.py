"""The kopf side of the operator: handlers and settings, nothing else.

kopf is the framework: it watches TaskRuns and TaskDefinitions and calls the handlers below, each of which only marks
the key to reconcile. It runs in a thread with its own event loop, because it cancels every task that was created after
its start when it ends, and it ends on some errors of the API server; a supervisor then restarts it, while reflectors,
queue and probes keep running (docs/decisions/0001-kopf-and-reflectors.md).
"""

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable
from functools import partial
from typing import Any, Final, cast

import aiohttp
import kopf
import uvloop

from podrelay.api import names
from podrelay.kube.config import Connection
from podrelay.kube.resources import Key
from podrelay.operator.metrics import KOPF_RESTARTS
from podrelay.operator.rbac import Permission

log = logging.getLogger(__name__)

# kopf looks up the kinds of Podrelay's API group; discovery is open to all clients, and it requests nothing else.
PERMISSIONS: Final[tuple[Permission, ...]] = ()

_WITHOUT_STATUS: Final = "status.phase="
"""kopf only reports runs without a status; the reflectors report all others, which costs less."""
_COLLECTIONS: Final = frozenset({names.TASK_RUNS, names.TASK_DEFINITIONS})
_LIST, _WATCH = (
    f"application/json;as={kind};g=meta.k8s.io;v=v1" for kind in ("PartialObjectMetadataList", "PartialObjectMetadata")
)
"""Objects without spec and status: the handlers only need the name, and kopf would keep hundreds of inputs."""
_CHUNK: Final = 100
"""Objects per page of kopf's lists: each may have an input of 256 KiB in an annotation of kubectl."""
_BACKOFF_SECONDS = (1.0, 60.0)
_END_SECONDS = 2.0
"""If the API server is not reachable, kopf takes longer to end; it writes nothing, so it may be abandoned then."""


class _NoDiffBase(kopf.DiffBaseStorage):
    """kopf's storage for change handlers, which are not used here; it would copy each object several times."""

    def build(self, **_: Any) -> kopf.BodyEssence:
        return cast("kopf.BodyEssence", {})

    def fetch(self, **_: Any) -> None:
        return None

    def store(self, **_: Any) -> None:
        pass


class _NoProgress(kopf.ProgressStorage):
    """kopf's storage for the progress of handlers, which is not needed, either."""

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


class _Response(aiohttp.ClientResponse):
    """A response whose lists are always JSON arrays, as kopf expects; an empty list of metadata is `null`."""

    async def json(self, **options: Any) -> Any:
        document = await super().json(**options)
        if isinstance(document, dict) and "items" in document and document["items"] is None:
            document["items"] = []
        return document


class KopfShell:
    """Runs kopf until stopped.

    Args:
        connection: the API server.
        namespaces: the namespaces to watch; empty for all.
        run_seen: called, from kopf's thread, with the key of each TaskRun that kopf sees.
        definition_seen: the same for TaskDefinitions.
    """

    def __init__(
        self,
        connection: Connection,
        namespaces: tuple[str, ...],
        run_seen: Callable[[Key], None],
        definition_seen: Callable[[Key], None],
    ) -> None:
        self._connection = connection
        self._namespaces = namespaces
        self._run_seen = run_seen
        self._definition_seen = definition_seen
        self._stopping = threading.Event()
        self._raise_flag: Callable[[], object] = lambda: None
        self._ended: asyncio.Future[str] | None = None

    async def run(self) -> None:
        """Run kopf in its thread, and restart it when it ends, until cancelled."""
        failures = 0
        try:
            while not self._stopping.is_set():
                started = asyncio.get_running_loop().time()
                self._ended = self._start()
                error = await asyncio.shield(self._ended)
                if self._stopping.is_set():
                    return
                failures = 0 if asyncio.get_running_loop().time() - started > 300 else failures + 1
                delay = min(_BACKOFF_SECONDS[1], _BACKOFF_SECONDS[0] * 2**failures)
                log.warning("kopf ended and is restarted: %s", error, extra={"retry_seconds": delay})
                KOPF_RESTARTS.inc()
                await asyncio.sleep(delay)
        finally:
            self.stop()

    def stop(self) -> None:
        """Request kopf to end."""
        self._stopping.set()
        with contextlib.suppress(RuntimeError):  # its loop is closed: it has ended
            self._raise_flag()

    async def close(self) -> None:
        """Request kopf to end, and wait for it for a short time."""
        self.stop()
        if self._ended is not None:
            await asyncio.wait({self._ended}, timeout=_END_SECONDS)

    def _start(self) -> asyncio.Future[str]:
        """Run kopf once, in a thread that the process does not wait for; the result is the error that ended it."""
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[str] = loop.create_future()

        def set_ended(error: str) -> None:
            if not ended.done():
                ended.set_result(error)

        def run() -> None:
            error = self._run_once()
            with contextlib.suppress(RuntimeError):  # the loop is closed: no task waits for this
                loop.call_soon_threadsafe(set_ended, error)

        threading.Thread(target=run, name="kopf", daemon=True).start()
        return ended

    def _run_once(self) -> str:
        try:
            # Half of the cost of an event in kopf is the event loop and its TLS; asyncio's are written in Python.
            uvloop.run(self._operate())
        except Exception as error:  # noqa: BLE001 - the supervisor restarts kopf after any error
            return str(error) or type(error).__name__
        return "without an error"

    async def _operate(self) -> None:
        # Use a flag of this loop: for a flag of threading, kopf keeps a thread that waits for it, so that the loop
        # could not be closed when kopf ends by itself.
        stop = asyncio.Event()
        self._raise_flag = partial(asyncio.get_running_loop().call_soon_threadsafe, stop.set)
        if self._stopping.is_set():
            stop.set()
        connector = aiohttp.TCPConnector(limit=0, ssl=self._connection.ssl_context or True)
        async with aiohttp.ClientSession(
            connector=connector, middlewares=(self._authorize,), response_class=_Response
        ) as session:
            await kopf.operator(
                registry=self._registry(session),
                settings=_settings(),
                standalone=True,
                # kopf would look up the user name in the password file, where the user ID of a container may be
                # missing.
                identity=cast("Any", "podrelay-operator"),
                clusterwide=not self._namespaces,
                namespaces=self._namespaces,
                stop_flag=stop,
            )

    async def _authorize(
        self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        token = await asyncio.to_thread(self._connection.token)
        if token:
            request.headers["Authorization"] = f"Bearer {token}"
        if request.url.path.rpartition("/")[2] in _COLLECTIONS:
            request.headers["Accept"] = _WATCH if request.url.query.get("watch") == "true" else _LIST
        return await handler(request)

    def _registry(self, session: aiohttp.ClientSession) -> kopf.OperatorRegistry:
        registry = kopf.OperatorRegistry()

        @kopf.on.login(registry=registry)
        async def login(**_: Any) -> kopf.AiohttpSession:
            return kopf.AiohttpSession(aiohttp_session=session, server=self._connection.server)

        @kopf.on.event(names.GROUP, names.VERSION, names.TASK_RUNS, registry=registry)
        async def run_seen(*, event: kopf.RawEvent, namespace: str | None, name: str, **_: Any) -> None:
            if event["type"] != "DELETED":  # otherwise it has a status now, so it has been seen
                self._run_seen(Key(namespace or "", name))

        @kopf.on.event(names.GROUP, names.VERSION, names.TASK_DEFINITIONS, registry=registry)
        async def definition_seen(*, namespace: str | None, name: str, **_: Any) -> None:
            self._definition_seen(Key(namespace or "", name))

        return registry


def _settings() -> kopf.OperatorSettings:
    settings = kopf.OperatorSettings()
    settings.scanning.disabled = True
    settings.posting.enabled = False
    settings.persistence.diffbase_storage = _NoDiffBase()
    settings.persistence.progress_storage = _NoProgress()
    # kopf would kill the whole process when it takes long to end; that is not its decision.
    settings.process.ultimate_exiting_timeout = None
    settings.watching.field_selectors[names.GROUP, names.VERSION, names.TASK_RUNS] = _WITHOUT_STATUS
    settings.watching.chunk_size = _CHUNK
    settings.watching.server_timeout = 600
    settings.watching.connect_timeout = 5
    return settings
