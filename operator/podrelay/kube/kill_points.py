"""For tests of crashes: the process kills itself at a write, so that no gap between two writes stays untried.

Only the operator's main program puts this in, and only where the environment asks for it.
"""

import os
import signal
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from podrelay.kube.api import MERGE_PATCH, Api
from podrelay.kube.resources import Resource

ENV_DIE_BEFORE_WRITE: Final = "PODRELAY_TEST_DIE_BEFORE_WRITE"
"""The number of the write that the process does not live to send."""
ENV_DIE_AFTER_WRITE: Final = "PODRELAY_TEST_DIE_AFTER_WRITE"
"""The number of the write whose answer comes, and that the process does not live to see."""


def put_in(client: Api, environment: Mapping[str, str] = os.environ) -> Api:
    """Return `client`, or one that kills the process where `environment` says so."""
    before, after = (_number(environment, name) for name in (ENV_DIE_BEFORE_WRITE, ENV_DIE_AFTER_WRITE))
    return client if before is None and after is None else MortalClient(client, before, after)


class MortalClient:
    """A client whose process dies at a write.

    Args:
        client: sends the requests.
        before: right before its n-th write, counted from 1.
        after: when its n-th write was answered, and nobody has seen the answer yet.
    """

    def __init__(self, client: Api, before: int | None, after: int | None) -> None:
        self._client = client
        self._before = before
        self._after = after
        self._writes = 0

    async def request(self, method: str, path: str, **options: Any) -> bytes:
        """Send one request: the executor reads by it."""
        return await self._client.request(method, path, **options)

    async def get(self, resource: Resource, namespace: str, name: str) -> bytes:
        """Return an object."""
        return await self._client.get(resource, namespace, name)

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
        """Create an object, or die."""
        return await self._write(
            lambda: self._client.create(resource, namespace, body, dry_run=dry_run, strict=strict, before=before)
        )

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
        """Patch an object, or die."""
        return await self._write(
            lambda: self._client.patch(
                resource, namespace, name, body, subresource=subresource, content_type=content_type
            )
        )

    async def delete(
        self, resource: Resource, namespace: str, name: str, *, uid: str, resource_version: str | None = None
    ) -> bytes:
        """Delete an object, or die."""
        return await self._write(
            lambda: self._client.delete(resource, namespace, name, uid=uid, resource_version=resource_version)
        )

    async def _write(self, send: Callable[[], Awaitable[bytes]]) -> bytes:
        self._writes += 1
        number = self._writes
        if number == self._before:
            os.kill(os.getpid(), signal.SIGKILL)
        try:
            return await send()
        finally:
            if number == self._after:
                os.kill(os.getpid(), signal.SIGKILL)


def _number(environment: Mapping[str, str], name: str) -> int | None:
    value = environment.get(name)
    return int(value) if value else None
