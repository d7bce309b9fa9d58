"""The API server in memory as the operator asks it: requests of `podrelay.kube.api`, answered without a network."""

from collections.abc import Callable, Coroutine
from typing import Any, TypeVar
from urllib.parse import urlencode

import msgspec

from podrelay.kube.api import MERGE_PATCH
from podrelay.kube.resources import Resource
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


class MemoryClient:
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
        answer = rest.handle(self.server, method, url, body)
        return answer.body if isinstance(answer.body, bytes) else msgspec.json.encode(answer.body)

    async def get(self, resource: Resource, namespace: str, name: str) -> bytes:
        """Return an object."""
        return msgspec.json.encode(self.server.get(resource.plural, namespace, name))

    async def create(
        self,
        resource: Resource,
        namespace: str,
        body: dict[str, Any],
        *,
        dry_run: bool = False,
        strict: bool = False,
        before: Callable[[], None] = lambda: None,
    ) -> bytes:
        """Create an object and return it."""
        before()
        return msgspec.json.encode(self.server.create(resource.plural, namespace, body, dry_run=dry_run))

    async def replace(self, resource: Resource, namespace: str, name: str, body: dict[str, Any]) -> bytes:
        """Replace an object and return it."""
        return msgspec.json.encode(self.server.replace(resource.plural, namespace, name, body))

    async def patch(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        body: Any,
        *,
        subresource: str | None = None,
        content_type: str = MERGE_PATCH,
    ) -> bytes:
        """Patch an object and return it."""
        return msgspec.json.encode(
            self.server.patch(
                resource.plural, namespace, name, body, subresource=subresource or "", content_type=content_type
            )
        )

    async def delete(
        self, resource: Resource, namespace: str, name: str, *, uid: str, resource_version: str | None = None
    ) -> bytes:
        """Delete an object with this UID, and version if one is given."""
        self.server.delete(resource.plural, namespace, name, uid=uid, version=resource_version)
        return b"{}"
