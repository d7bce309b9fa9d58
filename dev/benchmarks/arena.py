"""A namespace in which one contender runs."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Final
from uuid import uuid4

import msgspec

from dev.benchmarks.observer import Observer, Pod
from dev.benchmarks.polling import until
from podrelay.kube.client import MAX_IN_FLIGHT, Client
from podrelay.kube.errors import ApiError, NotFoundError, TransportError
from podrelay.kube.reflector import Reflector
from podrelay.kube.resources import PODS, TASK_DEFINITIONS, TASK_ITERATIONS, TASK_RUNS, Resource

NAMESPACES: Final = Resource("", "v1", "namespaces")
SERVICE_ACCOUNTS: Final = Resource("", "v1", "serviceaccounts")
JOBS: Final = Resource("batch", "v1", "jobs")
_PATIENCE_SECONDS: Final = 60.0
_STATE_SECONDS: Final = 300.0
_QUIET_SECONDS: Final = 1.0


class _List(msgspec.Struct):
    items: list[msgspec.Raw] = []


class _Metadata(msgspec.Struct):
    name: str
    finalizers: list[str] = []


class _Pod(msgspec.Struct):
    metadata: _Metadata


class _Pods(msgspec.Struct):
    items: list[_Pod] = []


@dataclass
class Arena:
    """A namespace.

    Attributes:
        client: a client of the API server.
        namespace: the name of the namespace.
        observer: observes its pods.
    """

    client: Client
    namespace: str
    observer: Observer

    def __post_init__(self) -> None:
        # The timeout of a request includes the wait for a connection, so requests are limited before that.
        self._turns = asyncio.Semaphore(MAX_IN_FLIGHT)

    async def create(self, resource: Resource, manifest: dict[str, Any]) -> bytes:
        """Create an object as soon as fewer than 16 requests are in flight."""
        async with self._turns:
            return await self.client.create(resource, self.namespace, manifest)

    async def patch(self, resource: Resource, name: str, patch: Any, subresource: str | None = None) -> bytes:
        """Patch an object as soon as fewer than 16 requests are in flight."""
        async with self._turns:
            return await self.client.patch(resource, self.namespace, name, patch, subresource=subresource)

    async def replace(
        self, resource: Resource, name: str, manifest: dict[str, Any], subresource: str | None = None
    ) -> bytes:
        """Replace an object as soon as fewer than 16 requests are in flight."""
        async with self._turns:
            return await self.client.replace(resource, self.namespace, name, manifest, subresource=subresource)

    async def all_have_a_state(self) -> None:
        """Wait until an operator has reconciled all runs."""
        await until("all runs have a state", self._have_a_state, _STATE_SECONDS, every=0.5)

    async def _have_a_state(self) -> bool:
        params = {"fieldSelector": "status.phase=", "limit": "1"}
        path = TASK_RUNS.path(self.namespace)
        return b'"items":[]' in await self.client.request("GET", path, params=params, timeout_seconds=60)

    async def clear(self) -> None:
        """Delete all objects of a round, and wait until they are gone and there is no more activity."""
        for resource in (TASK_RUNS, JOBS, PODS, TASK_ITERATIONS, TASK_DEFINITIONS):
            await self._delete_all(resource)
        await self._release_pods()
        for resource in (TASK_RUNS, JOBS, PODS, TASK_ITERATIONS):
            await until(f"all {resource.plural} are gone", partial(self._has_none, resource), _PATIENCE_SECONDS)
        await asyncio.sleep(_QUIET_SECONDS)
        self.observer.forget()

    async def _release_pods(self) -> None:
        """Remove the finalizer of the pods that no operator knows."""
        body = await self.client.request("GET", PODS.path(self.namespace), timeout_seconds=_PATIENCE_SECONDS)
        held = [pod.metadata.name for pod in msgspec.json.decode(body, type=_Pods).items if pod.metadata.finalizers]
        await asyncio.gather(*(self._release(name) for name in held))

    async def _release(self, name: str) -> None:
        with contextlib.suppress(NotFoundError):  # an operator was faster
            await self.patch(PODS, name, {"metadata": {"finalizers": None}})

    async def _has_none(self, resource: Resource) -> bool:
        body = await self.client.request("GET", resource.path(self.namespace), params={"limit": "1"})
        return not msgspec.json.decode(body, type=_List).items

    async def _delete_all(self, resource: Resource) -> None:
        body = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background"}
        await self.client.request("DELETE", resource.path(self.namespace), body=body, timeout_seconds=_PATIENCE_SECONDS)


@asynccontextmanager
async def arena(client: Client, name: str) -> AsyncIterator[Arena]:
    """Create a namespace and observe its pods; at the end it is deleted, without waiting for that."""
    namespace = f"bench-{name}-{uuid4().hex[:6]}"
    manifest = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
    await client.request("POST", NAMESPACES.path(), body=manifest)
    observer = Observer()
    reflector: Reflector[Pod] = Reflector(client, PODS, Pod, observer, namespace=namespace)
    watching = asyncio.create_task(reflector.run())
    try:
        await until("pods can be created", partial(_has_account, client, namespace), every=0.05)
        await reflector.synced.wait()
        yield Arena(client, namespace, observer)
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        await _delete(client, namespace)


async def _has_account(client: Client, namespace: str) -> bool:
    try:
        await client.get(SERVICE_ACCOUNTS, namespace, "default")
    except NotFoundError:
        return False
    return True


async def _delete(client: Client, namespace: str) -> None:
    try:
        await client.request("DELETE", NAMESPACES.path(name=namespace))
    except (ApiError, TransportError, TimeoutError) as error:
        print(f"namespace {namespace} could not be deleted: {error}")
