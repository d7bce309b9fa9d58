"""Watches of the API server in memory: the changes since a version, and then each further one as it happens."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, Final, NamedTuple

import msgspec

from podrelay.devserver import tables
from podrelay.kube.errors import ApiError
from podrelay.local import history, rest, selectors
from podrelay.local.kinds import KINDS
from podrelay.local.memory_api import MemoryApi

Object = dict[str, Any]

_BOOKMARK_SECONDS: Final = 60.0
_LONGEST_SECONDS: Final = 3600.0


class News:
    """Wakes the waiting coroutines of an event loop; `ring` may be called by any thread.

    Args:
        loop: the event loop.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: set[asyncio.Event] = set()
        self._is_ringing = False

    def ring(self) -> None:
        """Wake all of them."""
        if not self._is_ringing:  # one call for a burst
            self._is_ringing = True
            self._loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        self._is_ringing = False
        for event in self._waiting:
            event.set()

    @contextlib.contextmanager
    def listening(self) -> Iterator[asyncio.Event]:
        """Yield an event that is set by each ring."""
        event = asyncio.Event()
        self._waiting.add(event)
        try:
            yield event
        finally:
            self._waiting.discard(event)


async def wait(event: asyncio.Event, seconds: float) -> None:
    """Wait until an event is set, or some time has passed; clear it."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(max(0.0, seconds)):
            await event.wait()
    event.clear()


class Watch(NamedTuple):
    """What a watch is about.

    Attributes:
        plural: the kind of object.
        namespace: the namespace; "" means all.
        query: the query of the request.
        is_table: whether objects are sent as rows of tables.
    """

    plural: str
    namespace: str
    query: dict[str, str]
    is_table: bool


def lines(api: MemoryApi, news: News, watch: Watch) -> AsyncIterator[bytes]:
    """Return the lines of a watch, which ends when its time is over.

    Raises:
        ApiError, ValueError: the query is invalid.
    """
    seconds = min(float(watch.query.get("timeoutSeconds") or _LONGEST_SECONDS), _LONGEST_SECONDS)
    matches = selectors.of(watch.query.get("fieldSelector", ""), watch.query.get("labelSelector", ""))
    version = int(watch.query.get("resourceVersion") or "0")
    return _lines(api, news, watch, matches, version, asyncio.get_running_loop().time() + seconds)


async def _lines(
    api: MemoryApi, news: News, watch: Watch, matches: Callable[[Object], bool], version: int, end: float
) -> AsyncIterator[bytes]:
    loop, query = asyncio.get_running_loop(), watch.query
    encoder = _Encoder(watch)
    starts_with_all = query.get("sendInitialEvents") == "true"
    if not version or starts_with_all:
        page = api.find(watch.plural, watch.namespace)
        version = page.version
        for item in filter(matches, page.items):
            yield encoder.line("ADDED", item)
        if starts_with_all:
            yield encoder.bookmark(version, {"k8s.io/initial-events-end": "true"})
    bookmark_at = loop.time() + _BOOKMARK_SECONDS
    with news.listening() as rung:
        while True:
            try:
                events = api.changes(version)
            except ApiError as error:
                yield encoder.error(rest.status(error, f"/{watch.plural}"))
                return
            for event in events:
                version = int(event.object["metadata"]["resourceVersion"])
                kind = history.shown(event, watch.plural, watch.namespace, matches)
                if kind is not None:
                    yield encoder.line(kind, event.object)
            if loop.time() >= end:
                return
            if query.get("allowWatchBookmarks") == "true" and loop.time() >= bookmark_at:
                yield encoder.bookmark(version, {})
                bookmark_at = loop.time() + _BOOKMARK_SECONDS
            await wait(rung, min(end, bookmark_at) - loop.time())


class _Encoder:
    """Encodes the events of one watch."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._has_columns = False

    def line(self, kind: str, item: Object) -> bytes:
        if self._watch.is_table:
            item = tables.table(self._watch.plural, [item], {}, with_columns=not self._has_columns)
            self._has_columns = True
        return self._encoded(kind, item)

    def bookmark(self, version: int, annotations: dict[str, str]) -> bytes:
        kind = KINDS[self._watch.plural]
        metadata: Object = {"resourceVersion": str(version), "creationTimestamp": None}
        if annotations:
            metadata["annotations"] = annotations
        if self._watch.is_table:
            return self._encoded("BOOKMARK", tables.table(kind.resource.plural, [], metadata, with_columns=False))
        return self._encoded("BOOKMARK", {"apiVersion": kind.api_version, "kind": kind.name, "metadata": metadata})

    def error(self, status: Object) -> bytes:
        return self._encoded("ERROR", status)

    @staticmethod
    def _encoded(kind: str, item: Object) -> bytes:
        return msgspec.json.encode({"type": kind, "object": item}) + b"\n"
