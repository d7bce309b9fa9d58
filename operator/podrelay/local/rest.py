"""Maps HTTP requests to the API server in memory: method, URL and body in, status and body out, without a network."""

from collections.abc import Callable
from typing import Any, NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

from podrelay.kube.errors import ApiError, NotFoundError
from podrelay.local.memory_api import PODS, MemoryApi


class Answer(NamedTuple):
    """A response.

    Attributes:
        status: the HTTP status code.
        body: JSON, which must not be changed; or bytes, for a log.
    """

    status: int
    body: Any


class _Place(NamedTuple):
    plural: str
    namespace: str
    name: str
    subresource: str


def answer(api: MemoryApi, method: str, url: str, body: Any) -> Answer:
    """Return the response to a request.

    Args:
        api: the API server.
        method: GET, POST, PUT, PATCH or DELETE.
        url: path and query.
        body: the decoded JSON, or None.
    """
    try:
        return handle(api, method, url, body)
    except ApiError as error:
        return Answer(error.status, _status(error, url))


def handle(api: MemoryApi, method: str, url: str, body: Any, content_type: str = "") -> Answer:
    """Return the response to a request, like `answer`, but raise errors.

    `content_type` is the type of a patch; by default it is derived from the body.

    Raises:
        ApiError: the request was rejected.
    """
    place, query = _place(url), {key: values[-1] for key, values in parse_qs(urlsplit(url).query).items()}
    act = _METHODS.get((method, bool(place.name)))
    if act is None:
        raise ApiError(405, "MethodNotAllowed", f"{method} {url} is not possible here")
    return act(api, place, query, body, content_type)


def _place(url: str) -> _Place:
    parts = [unquote(part) for part in urlsplit(url).path.split("/") if part]
    if "namespaces" not in parts:
        raise NotFoundError(404, "NotFound", f"there is nothing at {url}")
    rest = parts[parts.index("namespaces") + 1 :]
    if not 2 <= len(rest) <= 4:
        raise NotFoundError(404, "NotFound", f"there is nothing at {url}")
    namespace, plural, name, subresource = (*rest, "", "")[:4]
    return _Place(plural, namespace, name, subresource)


def _list(api: MemoryApi, place: _Place, query: dict[str, str], _body: Any, _type: str) -> Answer:
    items, following = api.find(
        place.plural,
        place.namespace,
        fields=query.get("fieldSelector", ""),
        labels=query.get("labelSelector", ""),
        limit=int(query.get("limit", "0")),
        after=query.get("continue", ""),
    )
    metadata = {"resourceVersion": str(api.version)} | ({"continue": following} if following else {})
    return Answer(200, {"apiVersion": "v1", "kind": "List", "metadata": metadata, "items": items})


def _get(api: MemoryApi, place: _Place, _query: dict[str, str], _body: Any, _type: str) -> Answer:
    if (place.plural, place.subresource) == (PODS, "log"):
        return Answer(200, api.log(place.namespace, place.name))
    return Answer(200, api.get(place.plural, place.namespace, place.name))


def _create(api: MemoryApi, place: _Place, query: dict[str, str], body: Any, _type: str) -> Answer:
    return Answer(201, api.create(place.plural, place.namespace, body, dry_run="dryRun" in query))


def _replace(api: MemoryApi, place: _Place, _query: dict[str, str], body: Any, _type: str) -> Answer:
    return Answer(200, api.replace(place.plural, place.namespace, place.name, body, subresource=place.subresource))


def _patch(api: MemoryApi, place: _Place, _query: dict[str, str], body: Any, content_type: str) -> Answer:
    changed = api.patch(
        place.plural, place.namespace, place.name, body, subresource=place.subresource, content_type=content_type
    )
    return Answer(200, changed)


def _delete(api: MemoryApi, place: _Place, _query: dict[str, str], body: Any, _type: str) -> Answer:
    conditions = (body or {}).get("preconditions") or {}
    api.delete(
        place.plural,
        place.namespace,
        place.name,
        uid=conditions.get("uid"),
        version=conditions.get("resourceVersion"),
    )
    return Answer(200, {"apiVersion": "v1", "kind": "Status", "status": "Success"})


def _status(error: ApiError, url: str) -> dict[str, Any]:
    return {
        "kind": "Status",
        "status": "Failure",
        "code": error.status,
        "reason": error.api_reason,
        "message": error.message,
        "details": {"name": unquote(urlsplit(url).path.rsplit("/", 1)[1])},
    }


_METHODS: dict[tuple[str, bool], Callable[[MemoryApi, _Place, dict[str, str], Any, str], Answer]] = {
    ("GET", False): _list,
    ("GET", True): _get,
    ("POST", False): _create,
    ("PUT", True): _replace,
    ("PATCH", True): _patch,
    ("DELETE", True): _delete,
}
"""By method and whether the URL names an object."""
