"""Read your own writes, at this gateway and at its other replicas.

This gateway stores the result of a write in its cache without waiting for the watch event. For other replicas, the
answer contains `extensions.readAfter`, which the client sends in the header `X-Podrelay-Read-After`: the namespace,
name, UID and version of each task that was written. A replica whose cache is older reads that task from the API server
before it answers.
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
"""Writes in `readAfter` and in the header; of more writes, the last ones are kept. Only a batch can have more."""

_GONE: Final = "gone"


class _Runs(msgspec.Struct, frozen=True):
    items: list[Run] = []


@dataclass(frozen=True, slots=True)
class Write:
    """One write of a task.

    Attributes:
        key: namespace and name of the task.
        uid: UID of the task.
        version: the resource version after the write; None: the task was deleted.
    """

    key: Key
    uid: str
    version: int | None

    def __str__(self) -> str:
        version = _GONE if self.version is None else str(self.version)
        return f"{self.key.namespace}/{self.key.name}/{self.uid}/{version}"


def token(writes: list[Write]) -> str:
    """Return the value of `extensions.readAfter`: the last write of each task."""
    newest = {write.key: write for write in writes}
    return ",".join(map(str, [*newest.values()][-MOST:]))


def parse(text: str) -> list[Write]:
    """Return the writes in the header of a request.

    Raises:
        ValidationError: it is not a value of `extensions.readAfter`.
    """
    parts = text.split(",")
    try:
        if len(parts) > MOST:
            raise ValueError(text)
        return [_parse(part.strip()) for part in parts]
    except ValueError as error:
        raise ValidationError(
            f"{READ_AFTER_HEADER} must be extensions.readAfter of an earlier answer, unchanged.", READ_AFTER_HEADER
        ) from error


def _parse(part: str) -> Write:
    namespace, name, uid, version = part.split("/")
    if not (namespace and name and uid):
        raise ValueError(part)
    return Write(Key(namespace, name), uid, None if version == _GONE else int(version))


async def catch_up(cache: Cache, own: Client, writes: list[Write]) -> None:
    """Update the cache so that it contains these writes or newer states.

    Args:
        cache: the cache of this gateway.
        own: the gateway's own client, with its own right to list.
        writes: writes of tasks that the caller may read, in namespaces that the cache covers.

    Raises:
        UnavailableError: the API server does not respond.
    """
    behind = [write for write in writes if _is_behind(cache, write)]
    try:
        await asyncio.gather(*(_read(cache, own, write.key) for write in behind))
    except (ApiError, TimeoutError, TransportError) as error:
        raise UnavailableError(
            "This gateway has not seen the earlier write yet, and the API server does not respond. Try again."
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
