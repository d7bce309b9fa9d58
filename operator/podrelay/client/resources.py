"""The custom resources of one API server: calls are retried where that helps, and raise ServiceErrors.

Every call can be repeated safely: the caller chooses the names, and a patch describes the result.
"""

import contextlib
import functools
import json
import random
import threading
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from podrelay.api import names
from podrelay.client import refusals
from podrelay.client.errors import ApiUnavailableError, NotFoundError, RequestRefusedError
from podrelay.client.packages import ApiException, kubernetes, urllib3
from podrelay.client.stream import Cancellation, Deadline

T = TypeVar("T")
Resource = dict[str, Any]

_TIMEOUT: Final = (5.0, 30.0)
"""The timeouts of one request: to connect, and between two parts of the response."""
_SILENCE_SECONDS: Final = 90.0
"""A watch that sends nothing for this long is dead: bookmarks arrive once a minute."""
_PAGE: Final = 500
_FIRST_SIZED_PAGE: Final = 10
_LARGEST_SIZED_PAGE: Final = 100
_SIZED_PAGE_BYTES: Final = 8 * 2**20
"""The target size of a page of a snapshot: records can have 700 KiB, so pages of a fixed count could take gigabytes."""
_API: Final[dict[str, Any]] = {"group": names.GROUP, "version": names.VERSION}
_MERGE_PATCH: Final = "application/merge-patch+json"
_FIRST_PAUSE: Final = 0.2
_LONGEST_PAUSE: Final = 5.0


@dataclass(frozen=True)
class Query:
    """Selects resources.

    Attributes:
        plural: plural name of the kind.
        namespace: None for all.
        labels: label selector.
        fields: field selector.
    """

    plural: str
    namespace: str | None
    labels: str | None = None
    fields: str | None = None


class ExpiredError(Exception):
    """The API server no longer knows this resourceVersion: list again."""


class _CancelledError(Exception):
    """The call was cancelled."""


class Resources:
    """Reads and writes custom resources. Thread-safe.

    Args:
        client: an ApiClient of the kubernetes package.
        retry_seconds: how long a request is retried while the API server cannot be reached or is overloaded.
    """

    def __init__(self, client: Any, retry_seconds: float) -> None:
        self._custom = kubernetes.client.CustomObjectsApi(client)
        self._authorization = kubernetes.client.AuthorizationV1Api(client)
        self._authentication = kubernetes.client.AuthenticationV1Api(client)
        self._retry_seconds = retry_seconds
        self._user_lock = threading.Lock()
        self._user: dict[str, Any] | None = None

    def get(self, plural: str, namespace: str, name: str) -> Resource:
        """Return a resource.

        Raises:
            NotFoundError: it does not exist.
            ApiUnavailableError: the API server is unavailable, even after retries.
        """
        return self._call(self._custom.get_namespaced_custom_object, plural, namespace, name=name)

    def create(self, plural: str, namespace: str, manifest: Resource, *, strict: bool = False) -> Resource:
        """Create a resource, and return it as stored. With `strict`, unknown fields are refused instead of dropped.

        Raises:
            ConflictError: the name is taken, perhaps by an earlier request of this call.
            ApiUnavailableError: the API server is unavailable, even after retries; the resource may have been created.
        """
        more = {"field_validation": "Strict"} if strict else {}
        return self._call(self._custom.create_namespaced_custom_object, plural, namespace, body=manifest, **more)

    def patch(self, plural: str, namespace: str, name: str, patch: Resource, *, strict: bool = False) -> Resource:
        """Apply a JSON merge patch to a resource, and return the result; `strict` as for `create`.

        Raises:
            NotFoundError: it does not exist.
            InvalidInputError: its rules forbid the change.
            ApiUnavailableError: the API server is unavailable, even after retries.
        """
        request = self._custom.patch_namespaced_custom_object
        more = {"field_validation": "Strict"} if strict else {}
        return self._call(request, plural, namespace, name=name, body=patch, _content_type=_MERGE_PATCH, **more)

    def patch_status(self, plural: str, namespace: str, name: str, status: Resource) -> Resource:
        """Apply a JSON merge patch to the status of a resource, and return the result.

        Raises:
            NotFoundError: it does not exist.
            InvalidInputError: its rules forbid the change.
            ApiUnavailableError: the API server is unavailable, even after retries.
        """
        request, patch = self._custom.patch_namespaced_custom_object_status, {"status": status}
        return self._call(request, plural, namespace, name=name, body=patch, _content_type=_MERGE_PATCH)

    def may(self, verb: str, resource: str, namespace: str, group: str = names.GROUP) -> bool:
        """Return whether this user has a right to all resources of a kind in a namespace.

        Args:
            verb: such as create.
            resource: plural name of the kind, optionally with `/` and a subresource.
            namespace: the namespace.
            group: API group of the kind; empty for that of pods.

        Raises:
            RequestRefusedError: the API server refuses the access review.
            ApiUnavailableError: the API server is unavailable, even after retries.
        """
        plural, _, subresource = resource.partition("/")
        about = {"verb": verb, "group": group, "resource": plural, "subresource": subresource, "namespace": namespace}
        body = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": about},
        }
        answer = self.ask(self._authorization.create_self_subject_access_review, body=body)
        return bool(answer.get("status", {}).get("allowed"))

    def ask(self, request: Callable[..., Any], **arguments: Any) -> Resource:
        """Return the response to a request.

        Args:
            request: a method of any API of the kubernetes package.
            arguments: the arguments of the method, and optionally `cancellation` and `patience`, as in `pages`.

        Raises:
            RequestRefusedError: the request is forbidden, or there is no such object.
            ApiUnavailableError: the API server is unavailable, even after retries.
        """
        return self._sized(request, **arguments)[0]

    def delete(self, plural: str, namespace: str, name: str) -> None:
        """Delete a resource.

        Raises:
            NotFoundError: it does not exist.
            ApiUnavailableError: the API server is unavailable, even after retries.
        """
        requests = 0

        def delete(**arguments: Any) -> Any:
            nonlocal requests
            requests += 1
            return self._custom.delete_namespaced_custom_object(**arguments)

        try:
            self._call(delete, plural, namespace, name=name)
        except NotFoundError:
            if requests == 1:  # otherwise an earlier request has deleted it
                raise

    def pages(
        self, query: Query, *, cancellation: Cancellation | None = None, patience: float | None = None
    ) -> Generator[Resource]:
        """Yield a list page by page; all pages are of the same moment. Ends early if it is cancelled.

        Args:
            query: what to list.
            cancellation: ends it early.
            patience: seconds for which the request of a page is retried; None: as for other requests.

        Raises:
            ExpiredError: it took so long that the API server no longer knows the moment.
            RequestRefusedError: the request is forbidden.
            ApiUnavailableError: the API server is unavailable, even after retries.
        """
        request = self._lister(query)
        place: dict[str, str] = {}
        while True:
            try:
                page = self.ask(request, cancellation=cancellation, patience=patience, limit=_PAGE, **place)
            except _CancelledError:
                return
            yield page
            following = page["metadata"].get("continue")
            if not following:
                return
            place = {"_continue": following}

    def snapshot(self, query: Query, version: str | None = None) -> Generator[Resource]:
        """Yield a list as of one moment, in pages of some megabytes.

        Args:
            query: what to list.
            version: the resourceVersion of the moment; None: now. The pages contain it.

        Raises:
            ExpiredError: the API server no longer knows the moment.
            RequestRefusedError: the request is forbidden.
            ApiUnavailableError: the API server is unavailable, even after retries.
        """
        limit = _FIRST_SIZED_PAGE
        place: dict[str, Any] = {"resource_version": version, "resource_version_match": "Exact"} if version else {}
        while True:
            page, size = self._sized(self._lister(query), limit=limit, **place)
            yield page
            following = page["metadata"].get("continue")
            if not following:
                return
            place = {"_continue": following}
            each = max(1, size // max(1, len(page["items"])))
            limit = max(1, min(_LARGEST_SIZED_PAGE, _SIZED_PAGE_BYTES // each))

    def items(self, query: Query) -> list[Resource]:
        """Return all resources of a query, ordered by namespace and name.

        Raises:
            RequestRefusedError: the request is forbidden.
            ApiUnavailableError: the API server is unavailable, even after retries.
        """
        while True:
            with contextlib.suppress(ExpiredError):
                return [item for page in self.pages(query) for item in page["items"]]

    def watch(
        self, query: Query, version: str, cancellation: Cancellation, deadline: Deadline, patience: float
    ) -> Generator[Resource]:
        """Yield the events since `version` as they arrive, until the connection ends for any reason.

        Raises:
            ExpiredError: `version` is too old.
            RequestRefusedError: the request is forbidden.
            ApiUnavailableError: no connection within `patience` seconds.
        """
        silence = max(0.1, deadline.within(_SILENCE_SECONDS))
        connect = functools.partial(
            self._lister(query),
            watch=True,
            allow_watch_bookmarks=True,
            resource_version=version,
            _preload_content=False,
            _request_timeout=(min(_TIMEOUT[0], silence), silence),
        )
        try:
            response = self._repeat(connect, cancellation, patience)
        except _CancelledError:
            return
        with cancellation.reading(response):
            try:
                for line in _lines(response):
                    event = json.loads(line)
                    if event["type"] == "ERROR":
                        if event["object"].get("code") == 410:
                            raise ExpiredError
                        return
                    yield event
            except (urllib3.exceptions.HTTPError, OSError):
                return  # a watch may break at any moment; it is resumed
            except (AttributeError, ValueError):
                if not cancellation.is_set:  # a TLS socket that is shut down during a read fails in odd ways
                    raise

    def user(self) -> str | None:
        """Return the name of this client's user as the API server knows it, or None if it does not report it.

        The API server is asked only once.
        """
        name: str | None = self._who_am_i().get("username")
        return name

    def groups(self) -> list[str]:
        """Return the groups of this client's user, as the API server knows them; none if it does not report them."""
        return list(self._who_am_i().get("groups") or ())

    def _who_am_i(self) -> dict[str, Any]:
        with self._user_lock:
            if self._user is None:
                self._user = self._request_user()
            return self._user

    def _request_user(self) -> dict[str, Any]:
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
        try:
            answer = self.ask(self._authentication.create_self_subject_review, body=body)
        except RequestRefusedError:
            return {}
        user: dict[str, Any] = answer.get("status", {}).get("userInfo", {})
        return user

    def _lister(self, query: Query) -> Callable[..., Any]:
        """Return the request for the resources of a query, as a list or a watch."""
        selectors = {"namespace": query.namespace, "label_selector": query.labels, "field_selector": query.fields}
        arguments = {"plural": query.plural, **{key: value for key, value in selectors.items() if value}}
        request: Callable[..., Any] = self._custom.list_namespaced_custom_object
        if query.namespace is None:  # this method has another name for the parameter `plural`
            request = self._custom.list_custom_object_for_all_namespaces
            arguments["resource_plural"] = arguments.pop("plural")
        return functools.partial(request, **_API, **arguments)

    def _call(self, request: Callable[..., Any], plural: str, namespace: str, **arguments: Any) -> Resource:
        return self.ask(request, **_API, plural=plural, namespace=namespace, **arguments)

    def _sized(
        self,
        request: Callable[..., Any],
        *,
        cancellation: Cancellation | None = None,
        patience: float | None = None,
        **arguments: Any,
    ) -> tuple[Resource, int]:
        """Return the response to a request, and its size in bytes."""

        def send() -> tuple[Resource, int]:
            return _sized_json(request(**arguments, _preload_content=False, _request_timeout=_TIMEOUT))

        return self._repeat(send, cancellation, patience)

    def _repeat(self, send: Callable[[], T], cancellation: Cancellation | None, patience: float | None) -> T:
        """Return the result of `send`; retry transient failures for `patience` seconds, by default `retry_seconds`."""
        cancellation = cancellation or Cancellation()
        deadline = Deadline(self._retry_seconds if patience is None else patience)
        pause = _FIRST_PAUSE
        while not cancellation.is_set:
            try:
                return send()
            except (ApiException, urllib3.exceptions.HTTPError, OSError, json.JSONDecodeError) as error:
                problem = refusals.explain(error)
                if isinstance(problem, RequestRefusedError) and problem.status == 410:
                    raise ExpiredError from error
                wait = pause * random.uniform(0.5, 1.0)  # noqa: S311 - spreads callers
                if isinstance(problem, ApiUnavailableError):
                    wait = problem.retry_after or wait
                if not problem.retryable or deadline.within(wait) < wait:
                    raise problem from error
                cancellation.wait(wait)
                pause = min(2 * pause, _LONGEST_PAUSE)
        raise _CancelledError


def _sized_json(response: Any) -> tuple[Resource, int]:
    """Return the JSON value of a body, and the size of the body in bytes."""
    try:
        return json.loads(response.data), len(response.data)
    finally:
        response.release_conn()


def _lines(response: Any) -> Iterator[bytes]:
    """Yield the lines of a body as they arrive."""
    rest = b""
    for chunk in response.stream(64 * 1024):
        *lines, rest = (rest + chunk).split(b"\n")
        yield from filter(None, lines)
