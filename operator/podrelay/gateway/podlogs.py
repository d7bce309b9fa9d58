"""Output of pods, read with the caller's token: the last lines of a pod, or all lines as they are printed."""

import asyncio
from collections.abc import AsyncIterator
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


async def follow(call: Call, pod: Key) -> AsyncIterator[str]:
    """Yield each line that a pod prints, from the first one until the pod ends; nothing if the pod no longer exists.

    Raises:
        GatewayError: the lines cannot be read.
    """
    try:
        container = await _container(call, pod)
        path = PODS.path(pod.namespace, pod.name, "log")
        while True:
            params = {"container": container, "follow": "true"}
            try:
                async for line in call.caller.client.stream(path, params, _CALM_SECONDS, max_line=MAX_LINE):
                    yield line.decode(errors="replace")
            except ApiError as error:
                if error.status != 400:
                    raise
                # The container has not started. The gateway does not watch pods, so it has to poll.
                await asyncio.sleep(_NOT_STARTED_SECONDS)
            else:
                return
    except NotFoundError:
        return
    except API_FAILURES as error:
        raise _failure(error, pod) from error


async def _container(call: Call, pod: Key) -> str:
    stored = await call.caller.client.get(PODS, pod.namespace, pod.name)
    return msgspec.json.decode(stored, type=_Pod).metadata.annotations.container


def _failure(error: Exception, pod: Key) -> GatewayError:
    return from_api(error, f"read the output of pod {pod.name}")
