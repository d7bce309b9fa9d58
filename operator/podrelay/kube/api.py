"""The API server as the operator's parts see it: requests and their limits, without a network.

`client.Client` sends them to a real API server; `podrelay.local` answers them from memory. Whatever stands on this
module, on `resources` and on `errors` needs no HTTP library.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Final

from podrelay.kube.resources import Resource

REQUEST_TIMEOUT_SECONDS: Final = 5.0
"""Of reads, and of whatever comes before a request is sent."""
WRITE_TIMEOUT_SECONDS: Final = 35.0
"""A webhook may take 30 s, so admission may."""
LIST_TIMEOUT_SECONDS: Final = 60.0
MERGE_PATCH: Final = "application/merge-patch+json"
JSON_PATCH: Final = "application/json-patch+json"
APPLY_PATCH: Final = "application/apply-patch+yaml"
"""Server-side apply; JSON is YAML."""
STRATEGIC_MERGE_PATCH: Final = "application/strategic-merge-patch+json"
"""Of Kubernetes' own kinds only: items of lists are merged by their keys."""


class Api(ABC):
    """Requests to an API server; each answers with the JSON of the object, or raises as `request` does.

    All go through `request`, so that is what there is to be told, counted or played.
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
        """Send one request and return the body of its answer.

        Args:
            method: of HTTP.
            path: of the URL.
            body: what is sent as JSON.
            params: of the URL.
            content_type: what kind of JSON.
            timeout_seconds: how long all of it may take; by default 5 s to read, and to write what admission may take.
            before: called right before the request is sent; what it raises keeps it from being sent.

        Raises:
            ApiError: the API server refused; the subclass says how.
            TimeoutError: no answer in time, the wait for its turn included. A write may or may not have happened.
            TransportError: the connection failed. The same holds.
            AnswerTooLargeError: the answer has more bytes than any object.
        """

    async def get(self, resource: Resource, namespace: str, name: str) -> bytes:
        """Return the object as the API server has it now (a quorum read)."""
        return await self.request("GET", resource.path(namespace, name))

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
        """Create an object and return it.

        Args:
            resource: its kind.
            namespace: where.
            body: what.
            dry_run: everything is done, and nothing stored.
            strict: a field that does not exist is refused, not dropped.
            before: as of `request`.
        """
        params = {"dryRun": "All"} if dry_run else {}
        if strict:
            params["fieldValidation"] = "Strict"
        return await self.request("POST", resource.path(namespace), body=body, params=params or None, before=before)

    async def replace(self, resource: Resource, namespace: str, name: str, body: dict[str, Any]) -> bytes:
        """Replace an object, with its resourceVersion as the condition, and return it."""
        return await self.request("PUT", resource.path(namespace, name), body=body)

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
        """Patch an object and return it. A metadata.resourceVersion in the patch makes it conditional."""
        path = resource.path(namespace, name, subresource)
        return await self.request("PATCH", path, body=body, content_type=content_type)

    async def delete(
        self, resource: Resource, namespace: str, name: str, *, uid: str, resource_version: str | None = None
    ) -> bytes:
        """Delete the object with this UID, and only in this version where one is given (else ConflictError)."""
        preconditions = {"uid": uid}
        if resource_version is not None:
            preconditions["resourceVersion"] = resource_version
        body = {"kind": "DeleteOptions", "apiVersion": "v1", "preconditions": preconditions}
        body["propagationPolicy"] = "Background"
        return await self.request("DELETE", resource.path(namespace, name), body=body)
