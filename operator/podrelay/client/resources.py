"""The custom resources of one API server: each call with its own words for what went wrong, repeated where that helps.

Everything here may be repeated without doing it twice: names are chosen by the caller, patches say how it is to be.
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
from podrelay.client.errors import ApiUnavailableError, RequestRefusedError
from podrelay.client.packages import ApiException, kubernetes, urllib3
from podrelay.client.stream import Cancellation, Deadline

T = TypeVar("T")
Resource = dict[str, Any]

_TIMEOUT: Final = (5.0, 30.0)
"""Of one request: until it is connected, and between two parts of its answer."""
_SILENCE_SECONDS: Final = 90.0
"""A watch that says nothing for so long is dead: bookmarks come once a minute."""
_PAGE: Final = 500
_FIRST_SIZED_PAGE: Final = 10
_LARGEST_SIZED_PAGE: Final = 100
_SIZED_PAGE_BYTES: Final = 8 * 2**20
"""What a page of a snapshot should have: records may have 700 KiB each, so pages of a number would take gigabytes."""
_FIRST_PAUSE: Final = 0.2
_LONGEST_PAUSE: Final = 5.0


@dataclass(frozen=True)
class Query:
    """Which resources.

    Attributes:
        plural: of the kind.
        namespace: None for all.
        labels: label selector.
        fields: field selector.
    """

    plural: str
    namespace: str | None
    labels: str | None = None
    fields: str | None = None


class ExpiredError(Exception):
    """The API server does not know this resourceVersion any more: list anew."""


class _CancelledError(Exception):
    """Nobody wants the answer any more."""


class Resources:
    """Reads and writes custom resources. Thread-safe.

    Args:
        client: an ApiClient of the kubernetes package.
        retry_seconds: how long a request is repeated while the API server cannot be reached or is overloaded.
    """

    def __init__(self, client: Any, retry_seconds: float) -> None:
        self._custom = kubernetes.client.CustomObjectsApi(client)
        self._authorization = kubernetes.client.AuthorizationV1Api(client)
        self._authentication = kubernetes.client.AuthenticationV1Api(client)
        self._retry_seconds = retry_seconds
        self._user_lock = threading.Lock()
        self._user: tuple[str | None] | None = None

    def get(self, plural: str, namespace: str, name: str) -> Resource:
        """Return one.

        Raises:
            RequestRefusedError: status 404 where there is none.
            ApiUnavailableError: also after some tries.
        """
        return self._call(self._custom.get_namespaced_custom_object, plural, namespace=namespace, name=name)

    def create(self, plural: str, namespace: str, manifest: Resource) -> Resource:
        """Create one and return it as it is stored.

        Raises:
            RequestRefusedError: status 409 where the name is taken, be it by an earlier try of this call.
            ApiUnavailableError: also after some tries; it may have been created.
        """
        return self._call(
            self._custom.create_namespaced_custom_object,
            plural,
            namespace=namespace,
            body=manifest,
        )

    def patch(self, plural: str, namespace: str, name: str, patch: Resource) -> Resource:
        """Lay `patch` over one (JSON merge patch) and return what is stored then.

        Raises:
            RequestRefusedError: status 404 where there is none, 422 where its rules forbid it.
            ApiUnavailableError: also after some tries.
        """
        return self._call(
            self._custom.patch_namespaced_custom_object,
            plural,
            namespace=namespace,
            name=name,
            body=patch,
            _content_type="application/merge-patch+json",
        )

    def patch_status(self, plural: str, namespace: str, name: str, status: Resource) -> Resource:
        """Lay `status` over the status of one (JSON merge patch) and return what is stored then.

        Raises:
            RequestRefusedError: status 404 where there is none, 422 where its rules forbid it.
            ApiUnavailableError: also after some tries.
        """
        return self._call(
            self._custom.patch_namespaced_custom_object_status,
            plural,
            namespace=namespace,
            name=name,
            body={"status": status},
            _content_type="application/merge-patch+json",
        )

    def may(self, verb: str, resource: str, namespace: str, group: str = names.GROUP) -> bool:
        """Tell whether this user may do something to all resources of a kind in a namespace.

        Args:
            verb: such as create.
            resource: plural of the kind, with `/` and a subresource of it.
            namespace: where.
            group: of the kind; empty for that of pods.

        Raises:
            RequestRefusedError: it cannot be asked.
            ApiUnavailableError: also after some tries.
        """
        plural, _, subresource = resource.partition("/")
        about = {"verb": verb, "group": group, "resource": plural, "subresource": subresource, "namespace": namespace}
        body = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": about},
        }
        review: Any = self._authorization.create_self_subject_access_review
        answer = self._repeat(
            lambda: _json(review(body=body, _preload_content=False, _request_timeout=_TIMEOUT)), None, None
        )
        return bool(answer.get("status", {}).get("allowed"))

    def ask(self, request: Callable[..., Any], **arguments: Any) -> Resource:
        """Return the answer to a read of the kubernetes package's other APIs.

        Args:
            request: one of their methods.
            arguments: of it.

        Raises:
            RequestRefusedError: it is forbidden, or there is no such object.
            ApiUnavailableError: also after some tries.
        """

        def send() -> Resource:
            return _json(request(**arguments, _preload_content=False, _request_timeout=_TIMEOUT))

        return self._repeat(send, None, None)

    def delete(self, plural: str, namespace: str, name: str) -> None:
        """Delete one.

        Raises:
            RequestRefusedError: status 404 where there is none.
            ApiUnavailableError: also after some tries.
        """
        tries = 0

        def delete(**arguments: Any) -> Any:
            nonlocal tries
            tries += 1
            return self._custom.delete_namespaced_custom_object(**arguments)

        try:
            self._call(delete, plural, namespace=namespace, name=name)
        except RequestRefusedError as refused:
            if refused.status != 404 or tries == 1:  # else an earlier try has done it
                raise

    def pages(
        self, query: Query, *, cancellation: Cancellation | None = None, patience: float | None = None
    ) -> Generator[Resource]:
        """Return lists, page by page; all of them are of the same moment. Ends early when it is cancelled.

        Args:
            query: which.
            cancellation: ends it early.
            patience: seconds for which a page is asked for again; None: as other requests.

        Raises:
            ExpiredError: it took so long that the moment is forgotten.
            RequestRefusedError: it is forbidden.
            ApiUnavailableError: also after some tries.
        """
        following: str | None = None
        while True:
            try:
                page = self._page(query, following, cancellation, patience)
            except _CancelledError:
                return
            yield page
            following = page["metadata"].get("continue")
            if not following:
                return

    def _page(
        self, query: Query, following: str | None, cancellation: Cancellation | None, patience: float | None
    ) -> Resource:
        return self._call(
            self._lister(query),
            query.plural,
            cancellation=cancellation,
            patience=patience,
            limit=_PAGE,
            **({"_continue": following} if following else {}),
            **self._selectors(query),
        )

    def snapshot(self, query: Query, version: str | None = None) -> Generator[Resource]:
        """Return a list page by page, as it was at one moment, in pages of some megabytes.

        Args:
            query: which.
            version: the resourceVersion of the moment; None: now. The pages tell it.

        Raises:
            ExpiredError: the moment is forgotten.
            RequestRefusedError: it is forbidden.
            ApiUnavailableError: also after some tries.
        """
        limit = _FIRST_SIZED_PAGE
        place: dict[str, str] = {"resource_version": version, "resource_version_match": "Exact"} if version else {}
        while True:
            request = functools.partial(
                self._lister(query),
                **self._place(query.plural),
                **self._selectors(query),
                **place,
                limit=limit,
                _preload_content=False,
                _request_timeout=_TIMEOUT,
            )
            page, size = self._repeat(lambda request=request: _sized_json(request()), None, None)  # type: ignore[misc]
            yield page
            following = page["metadata"].get("continue")
            if not following:
                return
            place = {"_continue": following}
            each = max(1, size // max(1, len(page["items"])))
            limit = max(1, min(_LARGEST_SIZED_PAGE, _SIZED_PAGE_BYTES // each))

    def items(self, query: Query) -> list[Resource]:
        """Return all of them, ordered by namespace and name.

        Raises:
            RequestRefusedError: it is forbidden.
            ApiUnavailableError: also after some tries.
        """
        while True:
            with contextlib.suppress(ExpiredError):
                return [item for page in self.pages(query) for item in page["items"]]

    def watch(
        self, query: Query, version: str, cancellation: Cancellation, deadline: Deadline, patience: float
    ) -> Generator[Resource]:
        """Return the events since `version`, as they come, until the connection ends for whatever reason.

        Raises:
            ExpiredError: `version` is too old.
            RequestRefusedError: it is forbidden.
            ApiUnavailableError: no connection in `patience` seconds.
        """
        silence = max(0.1, deadline.within(_SILENCE_SECONDS))
        connect = functools.partial(
            self._lister(query),
            **self._place(query.plural),
            **self._selectors(query),
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
                if not cancellation.is_set:  # a TLS socket that is shut down under a read fails in odd ways
                    raise

    def user(self) -> str | None:
        """Return the name of the user that this client is for the API server; None where it does not tell.

        It is asked once.
        """
        with self._user_lock:
            if self._user is None:
                self._user = (self._ask_who(),)
            return self._user[0]

    def _ask_who(self) -> str | None:
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
        review: Any = self._authentication.create_self_subject_review
        try:
            answer = self._repeat(
                lambda: _json(review(body=body, _preload_content=False, _request_timeout=_TIMEOUT)), None, None
            )
        except RequestRefusedError:
            return None
        name: str | None = answer.get("status", {}).get("userInfo", {}).get("username")
        return name

    def _lister(self, query: Query) -> Callable[..., Any]:
        if query.namespace is None:
            # This one calls the plural otherwise.
            whole = self._custom.list_custom_object_for_all_namespaces
            return lambda plural, **arguments: whole(resource_plural=plural, **arguments)
        return self._custom.list_namespaced_custom_object

    @staticmethod
    def _selectors(query: Query) -> dict[str, Any]:
        selectors = {"namespace": query.namespace, "label_selector": query.labels, "field_selector": query.fields}
        return {key: value for key, value in selectors.items() if value}

    @staticmethod
    def _place(plural: str) -> dict[str, str]:
        return {"group": names.GROUP, "version": names.VERSION, "plural": plural}

    def _call(
        self,
        request: Callable[..., Any],
        plural: str,
        *,
        cancellation: Cancellation | None = None,
        patience: float | None = None,
        **arguments: Any,
    ) -> Resource:
        def send() -> Resource:
            return _json(request(**self._place(plural), **arguments, _preload_content=False, _request_timeout=_TIMEOUT))

        return self._repeat(send, cancellation, patience)

    def _repeat(self, send: Callable[[], T], cancellation: Cancellation | None, patience: float | None) -> T:
        """Return what `send` returns, after as many tries as it takes."""
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


def _json(response: Any) -> Resource:
    return _sized_json(response)[0]


def _sized_json(response: Any) -> tuple[Resource, int]:
    """Return a body, and of how many bytes it was made."""
    try:
        return json.loads(response.data), len(response.data)
    finally:
        response.release_conn()


def _lines(response: Any) -> Iterator[bytes]:
    """Return the lines of a body as they come."""
    rest = b""
    for chunk in response.stream(64 * 1024):
        *lines, rest = (rest + chunk).split(b"\n")
        yield from filter(None, lines)
