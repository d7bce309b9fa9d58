"""The API server in memory as the operator asks it: requests of `podrelay.kube.api`, answered without a network."""

from collections.abc import Callable, Coroutine
from typing import Any, TypeVar
from urllib.parse import urlencode

import msgspec

from podrelay.kube.api import Api
from podrelay.local import rest
from podrelay.local.memory_api import MemoryApi

T = TypeVar("T")


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end that asks nobody but an API server in memory, so that it never has to wait.

    Raises:
        RuntimeError: it waits for something else.
        whatever the coroutine raises.
    """
    try:
        coroutine.send(None)
    except StopIteration as end:
        result: T = end.value
        return result
    coroutine.close()
    raise RuntimeError("the coroutine waits for something, and there is no event loop")


class MemoryClient(Api):
    """A client of one API server in memory; see `podrelay.kube.api.Api`. No answer has to be waited for.

    Args:
        server: has the objects.
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
        """Send one request and return the body of its answer.

        Raises:
            ApiError: it is refused.
        """
        before()
        url = f"{path}?{urlencode(params)}" if params else path
        answer = rest.handle(self.server, method, url, body, content_type)
        return answer.body if isinstance(answer.body, bytes) else msgspec.json.encode(answer.body)
