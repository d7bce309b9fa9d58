"""Output of pods, read with the caller's token: the last lines of a pod, or all lines as they are printed."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import msgspec

from podrelay.api import names
from podrelay.gateway.call import Call
from podrelay.gateway.errors import API_FAILURES, GatewayError, from_api
from podrelay.kube.errors import ApiError, NotFoundError
from podrelay.kube.resources import PODS, Key

MAX_BYTES: Final = 256 * 1024
MAX_LINE: Final = 16 * 1024
_CALM_SECONDS: Final = 24 * 3600.0
"""How long a pod may print nothing; the access of the subscriber is checked every few seconds anyway."""
_NOT_STARTED_SECONDS: Final = 1.0
_SHORTEST_STAMP: Final = len("2026-11-24T10:00:00Z")


class PodNotFoundError(Exception):
    """A pod no longer exists."""


class _Annotations(msgspec.Struct, frozen=True):
    container: str = msgspec.field(default=names.TASK_CONTAINER, name=names.ANNOTATION_CONTAINER)


class _Metadata(msgspec.Struct, frozen=True):
    annotations: _Annotations = _Annotations()


class _Pod(msgspec.Struct):
    metadata: _Metadata


async def tail(call: Call, pod: Key, lines: int) -> str | None:
    """Return the last lines that a pod has printed; None if the pod no longer exists.

    Raises:
        GatewayError: the lines cannot be read.
    """
    try:
        params = {"container": await _container(call, pod), "tailLines": str(lines), "limitBytes": str(MAX_BYTES)}
        path = PODS.path(pod.namespace, pod.name, "log")
        return (await call.caller.client.request("GET", path, params=params)).decode(errors="replace")
    except NotFoundError:
        return None
    except API_FAILURES as error:
        raise _failure(error, pod) from error


@dataclass(frozen=True)
class Printed:
    """A line that a pod has printed, and when by the clock of its node."""

    at: datetime | None
    text: str


async def follow(call: Call, pod: Key, since: datetime | None = None) -> AsyncIterator[Printed]:
    """Yield each line that a pod prints, from the first one until the pod ends.

    Args:
        call: the call, with the caller's token.
        pod: the pod.
        since: skip what was printed before the second of this time; None: skip nothing.

    Raises:
        PodNotFoundError: the pod no longer exists.
        GatewayError: the lines cannot be read.
    """
    try:
        container = await _container(call, pod)
        path = PODS.path(pod.namespace, pod.name, "log")
        while True:
            params = {"container": container, "follow": "true", "timestamps": "true"}
            if since is not None:
                params["sinceTime"] = since.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            try:
                last: datetime | None = None
                async for line in call.caller.client.stream(path, params, _CALM_SECONDS, max_line=MAX_LINE):
                    printed = _printed(line.decode(errors="replace"), last)
                    last = printed.at
                    yield printed
            except ApiError as error:
                if error.status != 400:
                    raise
                # The container has not started. The gateway does not watch pods, so it has to poll.
                await asyncio.sleep(_NOT_STARTED_SECONDS)
            else:
                return
    except NotFoundError as error:
        raise PodNotFoundError(pod.name) from error
    except API_FAILURES as error:
        raise _failure(error, pod) from error


def _printed(line: str, before: datetime | None) -> Printed:
    """Separate a line from its time; the second part of a long line has none, and gets that of the first part."""
    stamp, space, text = line.partition(" ")
    if len(stamp) < _SHORTEST_STAMP or not space:
        return Printed(before, line)
    try:
        at = datetime.fromisoformat(stamp)
    except ValueError:
        return Printed(before, line)
    return Printed(at, text) if at.tzinfo is not None else Printed(before, line)


async def _container(call: Call, pod: Key) -> str:
    stored = await call.caller.client.get(PODS, pod.namespace, pod.name)
    return msgspec.json.decode(stored, type=_Pod).metadata.annotations.container


def _failure(error: Exception, pod: Key) -> GatewayError:
    return from_api(error, f"read the output of pod {pod.name}")
