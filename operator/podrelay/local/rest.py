"""Maps HTTP requests to the API server in memory: method, URL and body in, status and body out, without a network."""

import contextlib
import re
from http import HTTPStatus
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

from podrelay.kube.errors import ApiError, NotFoundError
from podrelay.local.kinds import KINDS
from podrelay.local.memory_api import PODS, MemoryApi

_SUCCESS: Final = {"apiVersion": "v1", "kind": "Status", "metadata": {}, "status": "Success"}
_FIELD: Final = re.compile(r"[a-z]\w*([.\[][\w.\[\]-]+:?|:)")
"""The first word of a message that is about a field."""
_OF_NAMESPACES: Final = frozenset({"status", "finalize"})
"""Subresources of namespaces; other words after the name of a namespace are kinds of objects in it."""


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
        return Answer(error.status, status(error, url))


def handle(api: MemoryApi, method: str, url: str, body: Any, content_type: str = "") -> Answer:
    """Return the response to a request, like `answer`, but raise errors.

    `content_type` is the type of a patch; by default it is derived from the body.

    Raises:
        ApiError: the request was rejected.
    """
    plural, namespace, name, subresource = place(url)
    query = {key: values[-1] for key, values in parse_qs(urlsplit(url).query).items()}
    dry_run = "dryRun" in query
    match method, bool(name):
        case "GET", False:
            return Answer(200, _list(api, plural, namespace, query))
        case "GET", True if (plural, subresource) == (PODS, "log"):
            return Answer(200, selected(api.log(namespace, name), query))
        case "GET", True:
            return Answer(200, api.get(plural, namespace, name))
        case "POST", False:
            return Answer(201, api.create(plural, namespace, body, dry_run=dry_run))
        case "PUT", True:
            return Answer(200, api.replace(plural, namespace, name, body, subresource=subresource, dry_run=dry_run))
        case "PATCH", True:
            options = {"subresource": subresource, "content_type": content_type}
            return Answer(200, api.patch(plural, namespace, name, body, dry_run=dry_run, **options))
        case "DELETE", True:
            return Answer(200, _delete(api, plural, namespace, name, (body or {}) | query) or _SUCCESS)
        case "DELETE", False:
            for item in _list(api, plural, namespace, query)["items"]:
                _delete(api, plural, item["metadata"].get("namespace", ""), item["metadata"]["name"], body or {})
            return Answer(200, _SUCCESS)
    raise ApiError(405, "MethodNotAllowed", f"{method} {url} is not possible here")


class Place(NamedTuple):
    """What a URL names; namespace, name and subresource may be empty."""

    plural: str
    namespace: str
    name: str
    subresource: str


def place(url: str) -> Place:
    """Return what a URL names.

    Raises:
        NotFoundError: there is no such kind of object.
    """
    match [unquote(part) for part in urlsplit(url).path.split("/") if part]:
        case ["api", "v1", "namespaces" as plural, *own] if len(own) <= 1 or own[1] in _OF_NAMESPACES:
            root, namespace = "/api/v1", ""
        case ["api", version, "namespaces", namespace, plural, *own]:
            root = f"/api/{version}"
        case ["apis", group, version, "namespaces", namespace, plural, *own]:
            root = f"/apis/{group}/{version}"
        case ["api", version, plural, *own]:
            root, namespace = f"/api/{version}", ""
        case ["apis", group, version, plural, *own]:
            root, namespace = f"/apis/{group}/{version}", ""
        case _:
            raise NotFoundError(404, "NotFound", f"there is nothing at {url}")
    if plural not in KINDS or KINDS[plural].resource.path() != f"{root}/{plural}" or len(own) > 2:
        raise NotFoundError(404, "NotFound", f"there are no {plural} here: {url}")
    name, subresource = (*own, "", "")[:2]
    if name and KINDS[plural].is_namespaced is not bool(namespace):
        raise NotFoundError(404, "NotFound", f"there is nothing at {url}")
    return Place(plural, namespace, name, subresource)


def _list(api: MemoryApi, plural: str, namespace: str, query: dict[str, str]) -> dict[str, Any]:
    is_exact = query.get("resourceVersionMatch") == "Exact"
    page = api.find(
        plural,
        namespace,
        fields=query.get("fieldSelector", ""),
        labels=query.get("labelSelector", ""),
        limit=int(query.get("limit", "0")),
        after=query.get("continue", ""),
        version=int(query["resourceVersion"]) if is_exact else None,
    )
    metadata = {"resourceVersion": str(page.version)} | ({"continue": page.following} if page.following else {})
    kind = KINDS[plural]
    return {"apiVersion": kind.api_version, "kind": f"{kind.name}List", "metadata": metadata, "items": page.items}


def _delete(api: MemoryApi, plural: str, namespace: str, name: str, options: dict[str, Any]) -> dict[str, Any] | None:
    conditions, grace = options.get("preconditions") or {}, options.get("gracePeriodSeconds")
    return api.delete(
        plural,
        namespace,
        name,
        uid=conditions.get("uid"),
        version=conditions.get("resourceVersion"),
        grace_seconds=int(grace) if grace is not None else None,
        orphans=options.get("propagationPolicy") == "Orphan",
        dry_run=bool(options.get("dryRun")),
    )


def selected(text: bytes, query: dict[str, str]) -> bytes:
    """Return the part of a log that a request selects."""
    if "tailLines" in query:
        count = int(query["tailLines"])
        text = b"".join(text.splitlines(keepends=True)[-count:]) if count else b""
    return text[: int(query["limitBytes"])] if "limitBytes" in query else text


def status(error: ApiError, url: str) -> dict[str, Any]:
    """Return the body of the response for an error."""
    details: dict[str, Any] = {}
    with contextlib.suppress(NotFoundError):
        about = place(url)
        kind = KINDS[about.plural]
        is_invalid = error.status == HTTPStatus.UNPROCESSABLE_ENTITY
        details = {"name": about.name, "group": kind.resource.group, "kind": kind.name if is_invalid else about.plural}
    if error.status == HTTPStatus.UNPROCESSABLE_ENTITY:
        field, _, words = error.message.partition(" ")
        cause = (field.rstrip(":"), words) if _FIELD.fullmatch(field) else ("<root>", error.message)
        details["causes"] = [{"reason": "FieldValueInvalid", "message": cause[1], "field": cause[0]}]
    return {
        "apiVersion": "v1",
        "kind": "Status",
        "metadata": {},
        "status": "Failure",
        "code": error.status,
        "reason": error.api_reason,
        "message": error.message,
        "details": details,
    }
