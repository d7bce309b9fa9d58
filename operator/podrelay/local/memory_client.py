"""The operator's client for the API server in memory: answers requests of `podrelay.kube.api` without a network."""

from collections.abc import Callable, Coroutine
from typing import Any, TypeVar
from urllib.parse import urlencode

import msgspec

from podrelay.kube.api import Api
from podrelay.local import rest
from podrelay.local.memory_api import MemoryApi

T = TypeVar("T")


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that only uses an API server in memory, and therefore never has to wait.

    Raises:
        RuntimeError: the coroutine waits for something else.
        any exception of the coroutine.
    """
    try:
        coroutine.send(None)
    except StopIteration as end:
        result: T = end.value
        return result
    coroutine.close()
    raise RuntimeError("the coroutine waits for something, and there is no event loop")


class MemoryClient(Api):
    """A client of an API server in memory; see `podrelay.kube.api.Api`. Its requests never have to wait.

    Args:
        server: the API server.
    """

    def __init__(self, server: MemoryApi) -> None:
        self.server = server

    async def request(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        params: dict[str, str] | None = None,
        content_type: str = "application/json",
        timeout_seconds: float | None = None,
        before: Callable[[], None] = lambda: None,
    ) -> bytes:
        """Send one request and return the body of the response.

        Raises:
            ApiError: the request was rejected.
        """
        before()
        url = f"{path}?{urlencode(params)}" if params else path
        answer = rest.handle(self.server, method, url, body, content_type)
        return answer.body if isinstance(answer.body, bytes) else msgspec.json.encode(answer.body)
