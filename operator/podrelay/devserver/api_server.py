"""Serves the API server in memory over HTTP, for the operator, the gateway, `podrelay` and kubectl.

kubectl sends no token over plain HTTP, so the path of the URL in the kubeconfig contains a secret. Requests without
it, such as those of a web page that calls this computer, get 401.
"""

import asyncio
import json
import logging
import secrets
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

import msgspec
import yaml
from aiohttp import web

from podrelay.devserver import discovery, fields, not_here, protobuf, tables, watching
from podrelay.devserver.watching import News, Watch
from podrelay.kube.api import APPLY_PATCH, MERGE_PATCH
from podrelay.kube.errors import ApiError
from podrelay.local import rest
from podrelay.local.memory_api import MAX_OBJECT_BYTES, PODS, MemoryApi

log = logging.getLogger(__name__)

USER: Final = "podrelay-dev"

_MAX_BODY: Final = 2 * MAX_OBJECT_BYTES
_LONGEST_SILENCE: Final = 60.0
_HEALTH: Final = frozenset({"/healthz", "/livez", "/readyz"})
_OPENAPI_2: Final = "/openapi/v2"
"""The older form of the schemas, which kubectl accepts only as a Protobuf message; an empty one has no schemas."""
_PROTOBUF: Final = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
_WITH_UNKNOWN_FIELDS: Final = frozenset({"POST", "PUT", "PATCH"})
_ALL_RIGHTS: Final = {
    "incomplete": False,
    "resourceRules": [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}],
    "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
}
_REVIEWS: Final[Mapping[str, dict[str, Any]]] = {
    "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews": {"allowed": True},
    "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews": _ALL_RIGHTS,
    "/apis/authentication.k8s.io/v1/selfsubjectreviews": {"userInfo": {"username": USER}},
}
"""The status of each review: there is one user, who may do everything."""


class ApiServer:
    """Answers requests.

    Args:
        api: the objects.
        loop: the event loop in which requests are answered.
        secret: part of the path of each URL.
    """

    def __init__(self, api: MemoryApi, loop: asyncio.AbstractEventLoop, secret: str) -> None:
        self.news = News(loop)
        """To be rung after each change of an object or a log."""
        self._api = api
        self.secret = secret
        self._documents = discovery.documents(f"/{secret}")
        api.logs.changed = lambda _uid: self.news.ring()

    def application(self) -> web.Application:
        """Return the application to serve."""
        app = web.Application(client_max_size=_MAX_BODY)
        app.router.add_route("*", "/{path:.*}", self._handle)
        return app

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        secret, _, path = request.path[1:].partition("/")
        if not secrets.compare_digest(secret.encode(), self.secret.encode()):
            return _refused(ApiError(401, "Unauthorized", "use the kubeconfig that podrelay dev has written"), "/")
        try:
            return await self._answer(request, f"/{path.rstrip('/')}")
        except ApiError as error:
            return _refused(error, f"/{path}")
        except (ValueError, TypeError, AttributeError, LookupError, RecursionError) as error:
            # An invalid request of one client must not affect the others.
            log.debug("request not processed: %s %s", request.method, path, exc_info=error)
            message = f"the request cannot be processed: {type(error).__name__}: {error}"
            return _refused(ApiError(400, "BadRequest", message), f"/{path}")

    async def _answer(self, request: web.Request, path: str) -> web.StreamResponse:
        if request.method == "GET" and path in self._documents:
            return _json(200, self._documents[path])
        if path in _HEALTH:
            return web.Response(text="ok")
        if path == _OPENAPI_2:
            return web.Response(content_type=_PROTOBUF)
        body = await _body(request)
        if request.method == "POST" and path in _REVIEWS and isinstance(body, dict):
            return _json(201, body | {"metadata": {}, "status": _REVIEWS[path]})
        not_here.check(path)
        place, query = rest.place(path), dict(request.query)
        if request.method == "GET" and query.get("watch") in {"true", "1"}:
            watch = Watch(place.plural, place.namespace, query, tables.is_wanted(request.headers.get("Accept", "")))
            if place.name:
                watch.query["fieldSelector"] = f"metadata.name={place.name}"
            return await _stream(request, "application/json", watching.lines(self._api, self.news, watch))
        if (request.method, place.plural, place.subresource) == ("GET", PODS, "log"):
            return await self._log(request, place, query)
        if request.method in _WITH_UNKNOWN_FIELDS:
            body = fields.known(place.plural, body, is_strict=query.get("fieldValidation") == "Strict")
        url = f"{path}?{request.query_string}"
        answer = rest.handle(self._api, request.method, url, body, _patch_type(request))
        return _json(answer.status, _as_table(request, place, answer.body))

    async def _log(self, request: web.Request, place: rest.Place, query: dict[str, str]) -> web.StreamResponse:
        pod = self._api.get(PODS, place.namespace, place.name)
        if (pod["status"].get("phase"), query.get("follow")) == ("Pending", "true"):
            raise ApiError(400, "BadRequest", f"container of pod {place.name} is waiting to start")
        if query.get("follow") != "true":
            text = rest.selected(self._api.log(place.namespace, place.name), query)
            return web.Response(body=text, content_type="text/plain")
        return await _stream(request, "text/plain", self._followed(place, pod["metadata"]["uid"], query))

    async def _followed(self, place: rest.Place, uid: str, query: dict[str, str]) -> AsyncIterator[bytes]:
        position = 0
        if "tailLines" in query:
            text, position = self._api.logs.read_from(uid, 0)
            yield rest.selected(text, query)
        with self.news.listening() as rung:
            while True:
                has_ended = self._has_ended(place, uid)  # before the read, so that nothing of the log is missed
                text, position = self._api.logs.read_from(uid, position)
                if text:
                    yield text
                if has_ended:
                    return
                await watching.wait(rung, _LONGEST_SILENCE)

    def _has_ended(self, place: rest.Place, uid: str) -> bool:
        try:
            pod = self._api.get(PODS, place.namespace, place.name)
        except ApiError:
            return True
        return pod["metadata"]["uid"] != uid or pod["status"].get("phase") in {"Succeeded", "Failed"}


async def _body(request: web.Request) -> Any:
    content = await request.read()
    if not content:
        return None
    try:
        if content.startswith(protobuf.MAGIC):
            return protobuf.decode(content)
        return yaml.safe_load(content) if request.content_type == APPLY_PATCH else json.loads(content)
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        raise ApiError(400, "BadRequest", f"the body cannot be decoded: {error}") from error


def _patch_type(request: web.Request) -> str:
    if request.method != "PATCH":
        return ""
    return {"application/json": MERGE_PATCH}.get(request.content_type, request.content_type)


def _as_table(request: web.Request, place: rest.Place, body: Any) -> Any:
    if request.method != "GET" or not tables.is_wanted(request.headers.get("Accept", "")):
        return body
    items = body["items"] if not place.name else [body]
    return tables.table(place.plural, items, body["metadata"] if not place.name else {})


def _json(status: int, body: Any) -> web.Response:
    return web.Response(status=status, body=msgspec.json.encode(body), content_type="application/json")


def _refused(error: ApiError, url: str) -> web.Response:
    return _json(error.status, rest.status(error, url))


async def _stream(request: web.Request, content_type: str, lines: AsyncIterator[bytes]) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": content_type})
    await response.prepare(request)
    try:
        async for line in lines:
            await response.write(line)
    except (ConnectionError, asyncio.CancelledError):
        pass  # the client has gone, or the server ends
    return response
