"""The interface to the API server: requests and their timeouts, without a network.

`client.Client` sends requests to a real API server; `podrelay.local` answers them from memory. Code that depends only
on this module, `resources` and `errors` needs no HTTP library.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Final

from podrelay.kube.resources import Resource

REQUEST_TIMEOUT_SECONDS: Final = 5.0
"""Timeout of reads, and of connecting."""
WRITE_TIMEOUT_SECONDS: Final = 35.0
"""Timeout of writes: admission may take 30 s, because a webhook may."""
LIST_TIMEOUT_SECONDS: Final = 60.0
MERGE_PATCH: Final = "application/merge-patch+json"
JSON_PATCH: Final = "application/json-patch+json"
APPLY_PATCH: Final = "application/apply-patch+yaml"
"""Server-side apply; JSON is YAML."""
STRATEGIC_MERGE_PATCH: Final = "application/strategic-merge-patch+json"
"""Only for built-in kinds of Kubernetes: list items are merged by their keys."""


class Api(ABC):
    """Requests to an API server; each returns the JSON of the object, or raises the exceptions of `request`.

    All methods use `request`, so a subclass implements, counts or simulates only that one.
    """

    @abstractmethod
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

        Args:
            method: the HTTP method.
            path: the path of the URL.
            body: an object to send as JSON.
            params: query parameters of the URL.
            content_type: the type of JSON.
            timeout_seconds: timeout of the whole request; default: 5 s for reads, and for writes the time that
                admission may take.
            before: called right before the request is sent; if it raises an exception, the request is not sent.

        Raises:
            ApiError: the API server rejected the request; the subclass says why.
            TimeoutError: no response in time, including the wait for a free slot. A write may or may not have happened.
            TransportError: the connection failed. A write may or may not have happened.
            AnswerTooLargeError: the response is larger than any object.
        """

    async def get(self, resource: Resource, namespace: str, name: str) -> bytes:
        """Return the current object (a quorum read)."""
        return await self.request("GET", resource.path(namespace, name))

    async def create(
        self,
        resource: Resource,
        namespace: str,
        body: dict[str, Any],
        *,
        dry_run: bool = False,
        strict: bool = False,
        timeout_seconds: float | None = None,
        before: Callable[[], None] = lambda: None,
    ) -> bytes:
        """Create an object and return it.

        Args:
            resource: the kind of object.
            namespace: the namespace.
            body: the object.
            dry_run: process the request without storing the object.
            strict: reject unknown fields instead of dropping them.
            timeout_seconds: how long the API server may work on the request, admission webhooks included; by default,
                its own limit.
            before: as for `request`.
        """
        params = {"dryRun": "All"} if dry_run else {}
        if timeout_seconds is not None:
            params["timeout"] = f"{timeout_seconds:g}s"
        if strict:
            params["fieldValidation"] = "Strict"
        return await self.request("POST", resource.path(namespace), body=body, params=params or None, before=before)

    async def replace(
        self, resource: Resource, namespace: str, name: str, body: dict[str, Any], *, subresource: str | None = None
    ) -> bytes:
        """Replace an object, on condition that its resourceVersion is unchanged, and return it."""
        return await self.request("PUT", resource.path(namespace, name, subresource), body=body)

    async def patch(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        body: Any,
        *,
        subresource: str | None = None,
        content_type: str = MERGE_PATCH,
        strict: bool = False,
    ) -> bytes:
        """Patch an object and return it. A metadata.resourceVersion in the patch makes it conditional.

        With `strict`, unknown fields are rejected instead of dropped.
        """
        path = resource.path(namespace, name, subresource)
        params = {"fieldValidation": "Strict"} if strict else None
        return await self.request("PATCH", path, body=body, content_type=content_type, params=params)

    async def delete(
        self, resource: Resource, namespace: str, name: str, *, uid: str, resource_version: str | None = None
    ) -> bytes:
        """Delete the object if it has this UID and, if given, this version; otherwise ConflictError is raised."""
        preconditions = {"uid": uid}
        if resource_version is not None:
            preconditions["resourceVersion"] = resource_version
        body = {"kind": "DeleteOptions", "apiVersion": "v1", "preconditions": preconditions}
        body["propagationPolicy"] = "Background"
        return await self.request("DELETE", resource.path(namespace, name), body=body)
