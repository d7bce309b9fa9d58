"""Keeps a cache in sync with a collection of the API server: list once, then watch indefinitely.

It must never miss a deletion (a new list reports which objects are gone), poll, stop, or stop seeing all objects
because one of them cannot be decoded. After a failure it retries with backoff and jitter; an expired resource version
(410) leads to a new list at once. If versions go backwards, as after a restore of the API server's database, this is
detected with the first request after the interruption.
"""

import asyncio
import contextlib
import logging
import random
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, Final, Generic, Protocol, TypeVar

import msgspec

from podrelay.api.errors import PodrelayError
from podrelay.kube.api import LIST_TIMEOUT_SECONDS, REQUEST_TIMEOUT_SECONDS
from podrelay.kube.client import Client
from podrelay.kube.errors import ApiError, GoneError
from podrelay.kube.paging import newest_version, pages
from podrelay.kube.resources import Resource

log = logging.getLogger(__name__)

WATCH_SECONDS = (290, 580)
"""The requested duration of a watch is random in this range, as in client-go (5 to 10 minutes)."""
SILENCE_SECONDS = 90.0
"""A watch without data for this long may be dead: the server sends a bookmark about once a minute, but after its own
start none before the first event of a collection."""
SHORTEST_WATCH_SECONDS = 1.0
"""A watch that ends earlier than this without an event is a failure: opening the next one at once would be polling."""
BACKOFF_SECONDS = (0.2, 10.0)
"""Shortest and longest pause after failures. Retries are cheap (a watch or the first page of a list), so pauses are
short."""


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
    """The API server, or a proxy in front of it, ends watches immediately."""


class KubernetesObject(Protocol):
    """The part of a projection that the reflector needs: `metadata.resource_version`."""

    @property
    def metadata(self) -> Any:
        """The object's metadata."""


T = TypeVar("T", bound=KubernetesObject)
_FAILURES: Final = (PodrelayError, TimeoutError, msgspec.DecodeError, RecursionError)
"""Failures after which the reflector retries."""


class Sink(Protocol[T]):
    """The cache that a reflector updates. Its methods are called from the event loop and must not block."""

    def replace(self, objects: list[T], resource_version: str, namespace: str | None = None) -> None:
        """Replace all objects (of one namespace, or of all) as of `resource_version`; others were deleted."""

    def apply(self, obj: T) -> None:
        """Store an object that was added or changed."""

    def remove(self, obj: T) -> None:
        """Remove a deleted object; `obj` is its last state."""


class Reflector(Generic[T]):
    """Reflects one collection into a sink.

    Args:
        client: client for the API server.
        resource: the kind of object.
        kind: the msgspec projection to decode into; other fields are never kept in memory.
        sink: receives the objects.
        namespace: one namespace, or None for all.
        selector: a label selector, evaluated by the server.
        fields: a field selector, evaluated by the server.
        denied: called with the message of the API server whenever permissions are missing; the reflector retries with
            the usual pauses. The callback must report the problem; without a callback, it is logged each time.
        restored: called when the collection has gone back in time, as after a restore of the API server's database.
            Known objects are invalid, although their versions are newer than those of the next `replace`.
        interrupted: called when changes can no longer be seen; `broken_since` and `problem` have the details.
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
        restored: Callable[[], None] = lambda: None,
        interrupted: Callable[[], None] = lambda: None,
    ) -> None:
        self.synced = asyncio.Event()
        self.broken_since: float | None = None
        """Time of the event loop since which changes cannot be seen, or None."""
        self.problem: str | None = None
        """Why changes cannot be seen, or None."""
        self.name = resource.plural
        self.namespace = namespace
        self._client = client
        self._path = resource.path(namespace)
        self._params = {"labelSelector": selector} if selector else {}
        self._params |= {"fieldSelector": fields} if fields else {}
        self._denied = denied
        self._restored = restored
        self._interrupted = interrupted
        self._sink = sink
        self._newest = 0
        """The newest known version of the collection."""
        self._decode = msgspec.json.Decoder(kind).decode
        self._decode_event = msgspec.json.Decoder(_Event).decode

    async def run(self) -> None:
        """Reflect until cancelled."""
        too_old = 0
        while True:
            version = await self._list_until_it_works()
            # If the version is repeatedly too old at once, there must be a pause between lists.
            too_old = 1 if await self._follow(version) else too_old + 1
            if too_old > 1:
                await self._pause(too_old)

    async def _list_until_it_works(self) -> str:
        failures = 0
        while True:
            try:
                # A large list may take long, but a lost response must be noticed soon.
                version = await self._list(min(LIST_TIMEOUT_SECONDS, REQUEST_TIMEOUT_SECONDS * 2 ** min(failures, 10)))
            except _FAILURES as error:
                failures += 1
                self._is_broken(error)
                await self._pause(failures, error)
            else:
                self.synced.set()
                self._works()
                return version

    async def _follow(self, version: str) -> bool:
        """Watch from `version` until a new list is needed; return whether there was any event before that."""
        loop = asyncio.get_running_loop()
        failures, has_seen = 0, False
        while True:
            started, is_idle = loop.time(), True
            try:
                if failures and await self._is_restored(version):
                    return has_seen
                started = loop.time()
                with self._works_soon(failures) as opened:
                    async for seen in self._watch(version, opened):
                        version, failures, is_idle, has_seen = seen, 0, False, True
                        self._newest = int(seen)
                        self._works()
                if is_idle and loop.time() - started < SHORTEST_WATCH_SECONDS:
                    raise _WatchTooShortError("the watch ended immediately")
            except GoneError as error:
                self._is_broken(error)
                log.info("resource version too old, listing again", extra={"resource": self.name})
                return has_seen
            except _FAILURES as error:
                # A watch that lasted long was good, even without events; the backoff must not grow with each of them.
                was_good = loop.time() - started > BACKOFF_SECONDS[1]
                failures = 1 if was_good else failures + 1
                self._is_broken(error)
                await self._pause(failures, error, logging.INFO if was_good else logging.WARNING)

    async def _is_restored(self, version: str) -> bool:
        """Return whether the collection is older than `version`; if it is, forget all that is known about it.

        The API server accepts a watch from a future version, but sends no events until that version is reached.
        """
        newest = await newest_version(self._client, self._path, self._params)
        if newest >= int(version):
            return False
        self._forget(newest, version)
        return True

    def _forget(self, newest: int, known: str) -> None:
        log.warning(
            "the API server has gone back in time, as after a restore of its database: starting again",
            extra={"resource": self.name, "known_version": known, "version": newest},
        )
        self._newest = 0
        self._restored()

    def _works(self) -> None:
        self.broken_since = self.problem = None

    @contextlib.contextmanager
    def _works_soon(self, failures: int) -> Iterator[Callable[[], None]]:
        """Yield the callback for an accepted watch; after failures, it counts as working only after a moment."""
        timers: list[asyncio.TimerHandle] = []

        def opened() -> None:
            if failures:
                timers.append(asyncio.get_running_loop().call_later(SHORTEST_WATCH_SECONDS, self._works))
            else:
                self._works()

        try:
            yield opened
        finally:
            for timer in timers:
                timer.cancel()

    def _is_broken(self, error: Exception) -> None:
        self.problem = str(error) or type(error).__name__
        if self.broken_since is None:
            self.broken_since = asyncio.get_running_loop().time()
            self._interrupted()

    async def _pause(self, failures: int, error: Exception | None = None, level: int = logging.WARNING) -> None:
        shortest, longest = BACKOFF_SECONDS
        delay = min(longest, shortest * 2 ** min(failures, 10)) * random.uniform(0.5, 1.0)  # noqa: S311 - jitter
        if isinstance(error, ApiError) and error.retry_after is not None:
            delay = max(delay, error.retry_after)
        if self._denied is not None and isinstance(error, ApiError) and error.status == 403:
            self._denied(error.message)
            level = logging.DEBUG
        extra = {"resource": self.name, "retry_seconds": round(delay, 1)}
        log.log(level, "watch interrupted: %s", self.problem, extra=extra)
        await asyncio.sleep(delay)

    async def _list(self, timeout_seconds: float) -> str:
        objects: list[T] = []
        version = ""
        async for page in pages(self._client, self._path, self._params, timeout_seconds):
            objects += (obj for obj in map(self._read, page.items) if obj is not None)
            version = page.metadata.resource_version
            del page  # its items are views of the whole page: free it before the next one
            if self.broken_since is not None:
                self.broken_since = asyncio.get_running_loop().time()  # each page counts as seen
        if int(version) < self._newest:
            self._forget(int(version), str(self._newest))
        self._newest = int(version)
        self._sink.replace(objects, version, self.namespace)
        return version

    async def _watch(self, version: str, opened: Callable[[], None]) -> AsyncIterator[str]:
        params = {
            **self._params,
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": version,
            "timeoutSeconds": str(random.randint(*WATCH_SECONDS)),  # noqa: S311 - spreads the load
        }
        async for line in self._client.stream(self._path, params, SILENCE_SECONDS, opened=opened):
            event = self._decode_event(line)
            if event.type == "ERROR":
                status = msgspec.json.decode(event.object, type=_Status)
                kind = GoneError if status.code == 410 else ApiError
                raise kind(status.code, status.reason, status.message)
            obj = None if event.type == "BOOKMARK" else self._read(event.object)
            if obj is None:
                yield msgspec.json.decode(event.object, type=_Identity).metadata.resource_version
            else:
                (self._sink.remove if event.type == "DELETED" else self._sink.apply)(obj)
                yield obj.metadata.resource_version

    def _read(self, raw: msgspec.Raw) -> T | None:
        """Decode one object; return None for an invalid one, so that it does not affect the others."""
        try:
            return self._decode(raw)
        except msgspec.ValidationError as error:
            about = msgspec.json.decode(raw, type=_Identity).metadata
            log.error(  # noqa: TRY400 - the traceback would not help
                "object skipped, it cannot be decoded: %s",
                error,
                extra={"resource": self.name, "object": f"{about.namespace}/{about.name}"},
            )
            return None
