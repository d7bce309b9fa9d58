"""Keeps a cache equal to a collection of the API server: list once, then watch, for ever.

What it must never do: lose a deletion (a relist reports what vanished), poll, end, or go blind for one object that
cannot be read. Every failure is waited out with backoff and jitter; an expired resource version (410) leads to a new
list at once.
"""

import asyncio
import logging
import random
from collections.abc import Callable
from typing import Any, Generic, Protocol, TypeVar

import aiohttp
import msgspec

from podrelay.api.errors import PodrelayError
from podrelay.kube.client import LIST_TIMEOUT_SECONDS, REQUEST_TIMEOUT_SECONDS, Client, Resource
from podrelay.kube.errors import ApiError, GoneError
from podrelay.kube.paging import pages

log = logging.getLogger(__name__)

WATCH_SECONDS = (290, 580)
"""The server ends a watch after a random time in this range, as client-go asks it to (5 to 10 minutes)."""
SILENCE_SECONDS = 90.0
"""A watch may be dead when nothing came for this long: the server sends a bookmark about once a minute, but none before
the first event of a collection after its own start."""
SHORTEST_WATCH_SECONDS = 1.0
"""A watch that ends earlier than this without an event is a failure: to open the next one at once would be to poll."""
BACKOFF_SECONDS = (0.2, 30.0)


class _Metadata(msgspec.Struct, rename="camel"):
    resource_version: str = ""
    namespace: str = ""
    name: str = ""


class _Event(msgspec.Struct):
    type: str
    object: msgspec.Raw


class _Identity(msgspec.Struct):
    metadata: _Metadata


class _Status(msgspec.Struct):
    code: int = 0
    reason: str = ""
    message: str = ""


class _WatchTooShortError(PodrelayError):
    """The API server, or something before it, ends watches at once."""


class KubernetesObject(Protocol):
    """What a projection must have to be reflected: `metadata.resource_version`."""

    @property
    def metadata(self) -> Any:
        """Identity of the object."""


T = TypeVar("T", bound=KubernetesObject)


class Sink(Protocol[T]):
    """Where a reflector puts what it sees. Called from the event loop; must not block."""

    def replace(self, objects: list[T], resource_version: str, namespace: str | None = None) -> None:
        """Take all objects, those of one namespace or of all, as of `resource_version`; what is not listed has gone."""

    def apply(self, obj: T) -> None:
        """Take one object that was added or changed."""

    def remove(self, obj: T) -> None:
        """Take the last state of an object that has gone."""


class Reflector(Generic[T]):
    """Reflects one collection into a sink.

    Args:
        client: the API server.
        resource: which kind of object.
        kind: the msgspec projection to decode into; what it lacks is never kept in memory.
        sink: receives the objects.
        namespace: one namespace, or None for all.
        selector: a label selector, evaluated by the server.
        fields: a field selector, evaluated by the server.
        denied: called with the API server's words whenever it refuses for lack of rights; it is asked again with the
            usual pauses. Whoever gives it tells about it; without it the log does, each time.
    """

    def __init__(
        self,
        client: Client,
        resource: Resource,
        kind: type[T],
        sink: Sink[T],
        *,
        namespace: str | None = None,
        selector: str | None = None,
        fields: str | None = None,
        denied: Callable[[str], None] | None = None,
    ) -> None:
        self.synced = asyncio.Event()
        self.broken_since: float | None = None
        """Time of the event loop since which nothing is seen, or None while all is well."""
        self._client = client
        self._namespace = namespace
        self._path = resource.path(namespace)
        self._params = {"labelSelector": selector} if selector else {}
        self._params |= {"fieldSelector": fields} if fields else {}
        self._denied = denied
        self._sink = sink
        self._name = resource.plural
        self._decode = msgspec.json.Decoder(kind).decode
        self._decode_event = msgspec.json.Decoder(_Event).decode

    async def run(self) -> None:
        """Reflect until cancelled."""
        version: str | None = None
        failures = 0
        loop = asyncio.get_running_loop()
        started = loop.time()
        while True:
            try:
                if version is None:
                    # A large list may take long, but one whose answer is lost must not make us blind for so long.
                    version = await self._list(
                        min(LIST_TIMEOUT_SECONDS, REQUEST_TIMEOUT_SECONDS * 2 ** min(failures, 10))
                    )
                    self.synced.set()
                    self._works()
                started, is_idle = loop.time(), True
                async for seen in self._watch(version):
                    version, failures, is_idle = seen, 0, False
                if is_idle and loop.time() - started < SHORTEST_WATCH_SECONDS:
                    raise _WatchTooShortError("the watch was ended at once")
            except GoneError as error:
                version = None
                failures += 1
                log.info("resource version too old, listing again", extra={"resource": self._name})
                if failures > 1:
                    await self._wait_after(error, failures)
            except (PodrelayError, aiohttp.ClientError, TimeoutError, msgspec.DecodeError, RecursionError) as error:
                # A watch that lived for long was good, though calm; pauses that grow with each would make it blind.
                was_good = version is not None and loop.time() - started > BACKOFF_SECONDS[1]
                failures = 1 if was_good else failures + 1
                await self._wait_after(error, failures, logging.INFO if was_good else logging.WARNING)

    def _works(self) -> None:
        self.broken_since = None

    async def _wait_after(self, error: Exception, failures: int, level: int = logging.WARNING) -> None:
        if self.broken_since is None:
            self.broken_since = asyncio.get_running_loop().time()
        shortest, longest = BACKOFF_SECONDS
        delay = min(longest, shortest * 2 ** min(failures, 10)) * random.uniform(0.5, 1.0)  # noqa: S311 - jitter
        if isinstance(error, ApiError) and error.retry_after is not None:
            delay = max(delay, error.retry_after)
        if self._denied is not None and isinstance(error, ApiError) and error.status == 403:
            self._denied(error.message)
            level = logging.DEBUG
        log.log(
            level,
            "watch interrupted: %s",
            str(error) or type(error).__name__,
            extra={"resource": self._name, "retry_seconds": round(delay, 1)},
        )
        await asyncio.sleep(delay)

    async def _list(self, timeout_seconds: float) -> str:
        objects: list[T] = []
        version = ""
        async for page in pages(self._client, self._path, self._params, timeout_seconds):
            objects += (obj for obj in map(self._read, page.items) if obj is not None)
            version = page.metadata.resource_version
        self._sink.replace(objects, version, self._namespace)
        return version

    async def _watch(self, version: str) -> Any:
        params = {
            **self._params,
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": version,
            "timeoutSeconds": str(random.randint(*WATCH_SECONDS)),  # noqa: S311 - spreads the load
        }
        async for line in self._client.stream(self._path, params, SILENCE_SECONDS, opened=self._works):
            event = self._decode_event(line)
            if event.type == "BOOKMARK":
                yield msgspec.json.decode(event.object, type=_Identity).metadata.resource_version
            elif event.type == "ERROR":
                status = msgspec.json.decode(event.object, type=_Status)
                kind = GoneError if status.code == 410 else ApiError
                raise kind(status.code, status.reason, status.message)
            else:
                obj = self._read(event.object)
                if obj is not None:
                    (self._sink.remove if event.type == "DELETED" else self._sink.apply)(obj)
                    yield obj.metadata.resource_version
                else:
                    yield msgspec.json.decode(event.object, type=_Identity).metadata.resource_version

    def _read(self, raw: msgspec.Raw) -> T | None:
        """Decode one object; one that cannot be read must not keep all others from being seen."""
        try:
            return self._decode(raw)
        except msgspec.ValidationError as error:
            about = msgspec.json.decode(raw, type=_Identity).metadata
            log.error(  # noqa: TRY400 - where it was raised tells nothing
                "object left out, it cannot be read: %s",
                error,
                extra={"resource": self._name, "object": f"{about.namespace}/{about.name}"},
            )
            return None
