"""What a caller has written is what they read next, at this gateway and at its other replicas.

Here a write enters the cache with its answer, before its watch event comes. To another replica the client hands on what
the answer carries (`extensions.readAfter`) in the header `X-Podrelay-Read-After`: for each task that was written its
place, UID and version. A replica whose cache is behind reads that task from the API server before it answers.
"""

import asyncio
from dataclasses import dataclass
from typing import Final

import msgspec

from podrelay.gateway.cache import Cache
from podrelay.gateway.errors import UnavailableError, ValidationError
from podrelay.gateway.objects import Run
from podrelay.kube.client import Client
from podrelay.kube.errors import ApiError, TransportError
from podrelay.kube.resources import TASK_RUNS, Key

READ_AFTER_HEADER: Final = "X-Podrelay-Read-After"
MOST: Final = 20
"""Writes that are told, and taken; of more the last ones count. One operation makes fewer, a batch may make more."""

_GONE: Final = "gone"


class _Runs(msgspec.Struct, frozen=True):
    items: list[Run] = []


@dataclass(frozen=True, slots=True)
class Write:
    """One write of a task.

    Attributes:
        key: where it is.
        uid: which one of that name.
        version: what it was written as; None: it was deleted.
    """

    key: Key
    uid: str
    version: int | None

    def __str__(self) -> str:
        version = _GONE if self.version is None else str(self.version)
        return f"{self.key.namespace}/{self.key.name}/{self.uid}/{version}"


def token(writes: list[Write]) -> str:
    """Return what a client hands on: the last write of each task."""
    newest = {write.key: write for write in writes}
    return ",".join(map(str, [*newest.values()][-MOST:]))


def parse(text: str) -> list[Write]:
    """Return what a client has handed on.

    Raises:
        ValidationError: no gateway has said that.
    """
    parts = text.split(",")
    try:
        if len(parts) > MOST:
            raise ValueError(text)
        return [_parse(part.strip()) for part in parts]
    except ValueError as error:
        raise ValidationError(
            f"{READ_AFTER_HEADER} must be extensions.readAfter of an earlier answer, as it was.", READ_AFTER_HEADER
        ) from error


def _parse(part: str) -> Write:
    namespace, name, uid, version = part.split("/")
    if not (namespace and name and uid):
        raise ValueError(part)
    return Write(Key(namespace, name), uid, None if version == _GONE else int(version))


async def catch_up(cache: Cache, own: Client, writes: list[Write]) -> None:
    """Return when the cache is not behind any of these writes.

    Args:
        cache: of this gateway.
        own: asks with the gateway's own right to list.
        writes: of tasks that the caller may read, in namespaces that the cache has.

    Raises:
        UnavailableError: the API server does not answer.
    """
    behind = [write for write in writes if _is_behind(cache, write)]
    try:
        await asyncio.gather(*(_read(cache, own, write.key) for write in behind))
    except (ApiError, TimeoutError, TransportError) as error:
        raise UnavailableError(
            "This gateway has not seen yet what was written before, and the API server does not answer. Try again."
        ) from error


def _is_behind(cache: Cache, write: Write) -> bool:
    known = cache.runs.get(write.key)
    if write.version is None:
        return known is not None and known.metadata.uid == write.uid
    return known is None or known.metadata.version < write.version


async def _read(cache: Cache, own: Client, key: Key) -> None:
    known = cache.runs.get(key)
    params = {"fieldSelector": f"metadata.name={key.name}"}
    body = await own.request("GET", TASK_RUNS.path(key.namespace), params=params)
    found = msgspec.json.decode(body, type=_Runs).items
    if found:
        cache.runs.wrote(found[0])
    elif known is not None:
        cache.runs.deleted(key, known.metadata.uid)
