"""Maps HTTP requests to the API server in memory: method, URL and body in, status and body out, without a network."""

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
    plural, namespace, name, subresource = _place(url)
    query = {key: values[-1] for key, values in parse_qs(urlsplit(url).query).items()}
    match method, bool(name):
        case "GET", False:
            return Answer(200, _list(api, plural, namespace, query))
        case "GET", True if (plural, subresource) == (PODS, "log"):
            return Answer(200, api.log(namespace, name))
        case "GET", True:
            return Answer(200, api.get(plural, namespace, name))
        case "POST", False:
            return Answer(201, api.create(plural, namespace, body, dry_run="dryRun" in query))
        case "PUT", True:
            return Answer(200, api.replace(plural, namespace, name, body, subresource=subresource))
        case "PATCH", True:
            options = {"subresource": subresource, "content_type": content_type}
            return Answer(200, api.patch(plural, namespace, name, body, **options))
        case "DELETE", True:
            conditions = (body or {}).get("preconditions") or {}
            api.delete(plural, namespace, name, uid=conditions.get("uid"), version=conditions.get("resourceVersion"))
            return Answer(200, {"apiVersion": "v1", "kind": "Status", "status": "Success"})
    raise ApiError(405, "MethodNotAllowed", f"{method} {url} is not possible here")


def _place(url: str) -> tuple[str, str, str, str]:
    """Return the plural, the namespace, the name and the subresource that a URL names; the last two may be empty."""
    parts = [unquote(part) for part in urlsplit(url).path.split("/") if part]
    if "namespaces" not in parts:
        raise NotFoundError(404, "NotFound", f"there is nothing at {url}")
    rest = parts[parts.index("namespaces") + 1 :]
    if not 2 <= len(rest) <= 4:
        raise NotFoundError(404, "NotFound", f"there is nothing at {url}")
    namespace, plural, name, subresource = (*rest, "", "")[:4]
    return plural, namespace, name, subresource


def _list(api: MemoryApi, plural: str, namespace: str, query: dict[str, str]) -> dict[str, Any]:
    items, following = api.find(
        plural,
        namespace,
        fields=query.get("fieldSelector", ""),
        labels=query.get("labelSelector", ""),
        limit=int(query.get("limit", "0")),
        after=query.get("continue", ""),
    )
    metadata = {"resourceVersion": str(api.version)} | ({"continue": following} if following else {})
    return {"apiVersion": "v1", "kind": "List", "metadata": metadata, "items": items}


def _status(error: ApiError, url: str) -> dict[str, Any]:
    return {
        "kind": "Status",
        "status": "Failure",
        "code": error.status,
        "reason": error.api_reason,
        "message": error.message,
        "details": {"name": unquote(urlsplit(url).path.rsplit("/", 1)[1])},
    }
