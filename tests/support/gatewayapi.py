"""The environment of a gateway in the process of a test: an API server that knows users and a few objects."""

import asyncio
import itertools
import json
from collections.abc import MutableMapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web


@dataclass
class Watch:
    """Reports to the cache whether it is current."""

    broken_since: float | None = None


@dataclass
class ApiServer:
    """The API server for the gateway: it authenticates users, checks their permissions, and has the objects.

    Attributes:
        rights: user -> permitted verbs and resources, in all namespaces.
        rights_in: user and namespace -> further verbs and resources, in that namespace.
        objects: path -> object, or the text of a log.
        seen: method, path and user of each request.
        refusals: path -> why a patch of it is refused, as a rule of a custom resource would.
        deletions: path -> the rest of an object that a finalizer keeps.
        is_down: answer 503 to everything.
        holds: path -> an event that reads of it wait for.
        let_writes: an event that writes wait for.
        has_write: set when a write has arrived.
        has_written: set when a write was answered.
        most_writing: the maximum number of writes that waited at the same time.
    """

    rights: dict[str, set[str]] = field(default_factory=dict)
    rights_in: dict[tuple[str, str], set[str]] = field(default_factory=dict)
    objects: MutableMapping[str, Any] = field(default_factory=dict)
    seen: list[tuple[str, str, str]] = field(default_factory=list)
    refusals: dict[str, str] = field(default_factory=dict)
    deletions: dict[str, Any] = field(default_factory=dict)
    is_down: bool = False
    holds: dict[str, asyncio.Event] = field(default_factory=dict)
    let_writes: asyncio.Event = field(default_factory=asyncio.Event)
    has_write: asyncio.Event = field(default_factory=asyncio.Event)
    has_written: asyncio.Event = field(default_factory=asyncio.Event)
    most_writing: int = 0
    _writing: int = 0
    _version: "itertools.count[int]" = field(default_factory=lambda: itertools.count(100))

    def __post_init__(self) -> None:
        self.let_writes.set()

    async def handle(self, request: web.Request) -> web.Response:
        user = request.headers.get("Authorization", "").removeprefix("Bearer ")
        self.seen.append((request.method, request.path, user))
        if self.is_down:
            return web.json_response({"message": "down"}, status=503)
        if user not in self.rights:
            return web.json_response({"reason": "Unauthorized"}, status=401)
        if request.path.endswith("/selfsubjectreviews"):
            groups = ["system:authenticated", f"{user}s-team"]
            return web.json_response({"status": {"userInfo": {"username": user, "groups": groups}}})
        body = json.loads(await request.text() or "{}")
        if request.path.endswith("/selfsubjectaccessreviews"):
            wanted = body["spec"]["resourceAttributes"]
            resource = "/".join(filter(None, (wanted["resource"], wanted.get("subresource"))))
            granted = self.rights[user] | self.rights_in.get((user, wanted["namespace"]), set())
            allowed = f"{wanted['verb']} {resource}" in granted
            return web.json_response({"status": {"allowed": allowed}})
        if request.method == "GET":
            if request.path in self.holds:
                await self.holds[request.path].wait()
            return self._read(request)
        self._writing += 1
        self.most_writing = max(self.most_writing, self._writing)
        self.has_write.set()
        await self.let_writes.wait()
        self._writing -= 1
        self.has_written.set()
        return self._write(request, body)

    def _read(self, request: web.Request) -> web.Response:
        if (selector := request.query.get("fieldSelector")) and "involvedObject" in selector:
            return web.json_response({"items": self.objects.get(f"{request.path}?{selector}", [])})
        if selector and (run := selector.removeprefix("spec.taskRun=")) != selector:
            sent = [stored for path, stored in self.objects.items() if path.startswith(f"{request.path}/")]
            found = [stored for stored in sent if stored["spec"]["taskRun"] == run]
            return web.json_response({"items": found[: int(request.query["limit"])]})
        if selector:
            stored = self.objects.get(f"{request.path}/{selector.removeprefix('metadata.name=')}")
            return web.json_response({"items": [stored] if stored else []})
        if request.path not in self.objects:
            return _not_found()
        if request.path.endswith("/log"):
            return web.Response(text=self.objects[request.path])
        return web.json_response(self.objects[request.path])

    def _write(self, request: web.Request, body: Any) -> web.Response:
        path, version = request.path, {"resourceVersion": str(next(self._version))}
        if request.method == "POST":
            name = body["metadata"]["name"]
            if f"{path}/{name}" in self.objects:
                return web.json_response({"reason": "AlreadyExists", "message": "exists"}, status=409)
            about = {"uid": f"uid-{name}", "creationTimestamp": "2026-11-24T12:00:00Z"} | version
            stored = self.objects[f"{path}/{name}"] = body | {"metadata": body["metadata"] | about}
            return web.json_response(stored, status=201)
        if path not in self.objects:
            return _not_found()
        if request.method == "DELETE" and path in self.deletions:
            return web.json_response(self.deletions[path])
        if request.method == "DELETE":
            del self.objects[path]
            return web.json_response({"kind": "Status", "status": "Success"})
        if path in self.refusals:
            return web.json_response({"reason": "Invalid", "message": self.refusals[path]}, status=422)
        stored = self.objects[path]
        spec = stored["spec"] | body.get("spec", {})
        annotations = stored["metadata"].get("annotations", {}) | body.get("metadata", {}).get("annotations", {})
        changed = {
            "spec": {field: value for field, value in spec.items() if value is not None},
            "metadata": stored["metadata"] | version | ({"annotations": annotations} if annotations else {}),
        }
        self.objects[path] = stored | changed
        return web.json_response(self.objects[path])

    def asked(self, part: str) -> int:
        """Return the number of requests whose path contains this."""
        return sum(part in path for _, path, _ in self.seen)


def _not_found() -> web.Response:
    return web.json_response({"reason": "NotFound", "message": "not found"}, status=404)


@dataclass
class Clock:
    """The clock of the gateway, in seconds."""

    time: float = 0.0


EVERYTHING = {
    f"{verb} {kind}"
    for verb in ("get", "list", "watch", "create", "patch", "delete")
    for kind in ("taskruns", "taskdefinitions", "taskiterations", "taskschedules", "tasksignals")
}
