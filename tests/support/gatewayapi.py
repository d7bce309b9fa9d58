"""What is around a gateway that runs in the process of a test: an API server that knows users and a few objects."""

import json
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web


@dataclass
class Watch:
    """Tells the cache whether it is current."""

    broken_since: float | None = None


@dataclass
class ApiServer:
    """What the gateway asks: who somebody is, what they may do, and the objects themselves.

    Attributes:
        rights: user -> verb and resource that they have, everywhere.
        objects: path -> object.
        seen: method, path and user of each request.
        is_down: answer 503 to everything.
    """

    rights: dict[str, set[str]] = field(default_factory=dict)
    objects: dict[str, Any] = field(default_factory=dict)
    seen: list[tuple[str, str, str]] = field(default_factory=list)
    is_down: bool = False

    async def handle(self, request: web.Request) -> web.Response:
        user = request.headers.get("Authorization", "").removeprefix("Bearer ")
        self.seen.append((request.method, request.path, user))
        if self.is_down:
            return web.json_response({"message": "down"}, status=503)
        if user not in self.rights:
            return web.json_response({"reason": "Unauthorized"}, status=401)
        if request.path.endswith("/selfsubjectreviews"):
            return web.json_response({"status": {"userInfo": {"username": user}}})
        body = json.loads(await request.text() or "{}")
        if request.path.endswith("/selfsubjectaccessreviews"):
            wanted = body["spec"]["resourceAttributes"]
            allowed = f"{wanted['verb']} {wanted['resource']}" in self.rights[user]
            return web.json_response({"status": {"allowed": allowed}})
        return self._object(request, body)

    def _object(self, request: web.Request, body: Any) -> web.Response:
        if request.method == "POST":
            about = {"uid": "u", "resourceVersion": "1", "creationTimestamp": "2026-11-24T12:00:00Z"}
            return web.json_response(body | {"metadata": body["metadata"] | about}, status=201)
        if request.path not in self.objects:
            return web.json_response({"reason": "NotFound", "message": "not found"}, status=404)
        return web.json_response(self.objects[request.path])

    def asked(self, part: str) -> int:
        """How often a path with this in it was asked for."""
        return sum(part in path for _, path, _ in self.seen)


@dataclass
class Clock:
    """Time as the gateway sees it, in seconds."""

    time: float = 0.0


EVERYTHING = {
    f"{verb} {kind}"
    for verb in ("get", "list", "watch", "create", "patch", "delete")
    for kind in ("taskruns", "taskdefinitions", "taskiterations")
}
