"""A model of the API server, for tests in virtual time: what the relay relies on, and nothing else.

It keeps objects with UIDs and resource versions, refuses what the real one refuses (conflicts, names that exist,
preconditions, a second response, a finished phase that changes), and logs every change as a watch would send it. Its
methods have the form of `podrelay.kube.client.Client`, so that the operator's real store, planner and executor run
against it; they never really wait, so `run()` can drive a coroutine without an event loop. The integration tests hold
the same promises against the real API server.
"""

import itertools
from collections.abc import Callable, Coroutine
from datetime import datetime, timedelta
from typing import Any, TypeVar

import msgspec

from podrelay.api.task_run import TaskRun
from podrelay.kube.api import JSON_PATCH
from podrelay.kube.errors import AlreadyExistsError, ApiError, ConflictError, InvalidError, NotFoundError
from podrelay.kube.resources import Resource

T = TypeVar("T")
FINISHED = {"Succeeded", "Failed", "Aborted"}


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that never waits for anything to its end."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]
    coroutine.close()
    raise AssertionError("the coroutine waits for something, which the model has nobody to provide")


class ModelApi:
    """The objects of one namespace, and everything that happened to them."""

    def __init__(self, now: datetime) -> None:
        self.now = now
        self.objects: dict[tuple[str, str], dict[str, Any]] = {}
        self.events: list[tuple[str, str, dict[str, Any]]] = []
        self.version = 100
        self.decoded: dict[tuple[str, str], Any] = {}
        """Versions of objects as operators see them, by UID and resource version."""
        self.logs: dict[str, bytes] = {}
        """What pods have printed, by name."""
        self.log_error: ApiError | None = None
        """Why no log can be read."""
        self.removed_at: dict[str, datetime] = {}
        """When an object went, by UID."""
        self.admit: Callable[[str, dict[str, Any]], None] = lambda _plural, _body: None
        """Admission of what is created; it refuses by an error."""
        self._uids = itertools.count(1)

    # --- what the operator calls --------------------------------------------------------------------------------------

    async def get(self, resource: Resource, namespace: str, name: str) -> bytes:
        return msgspec.json.encode(self.read(resource.plural, name))

    async def request(self, method: str, path: str, *, params: dict[str, str], timeout_seconds: float) -> bytes:
        """A page of TaskRuns by the fields of their spec; `continue` is where the next one begins. Or a pod's log."""
        if path.endswith("/log"):
            name = path.split("/")[-2]
            self.read("pods", name)
            if self.log_error is not None:
                raise self.log_error
            return self.logs.get(name, b"")
        assert (method, path.rsplit("/", 1)[1]) == ("GET", "taskruns")
        wanted = dict(term.removeprefix("spec.").split("=") for term in params["fieldSelector"].split(","))
        found = [run for run in self.find("taskruns") if wanted.items() <= run["spec"].items()]
        start, size = int(params.get("continue", "0")), int(params["limit"])
        metadata = {"resourceVersion": str(self.version)}
        if start + size < len(found):
            metadata["continue"] = str(start + size)
        return msgspec.json.encode({"metadata": metadata, "items": found[start : start + size]})

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
        before()
        body = _as_stored(msgspec.json.decode(msgspec.json.encode(body)))
        name = body["metadata"]["name"]
        self.admit(resource.plural, body)
        if (resource.plural, name) in self.objects:
            raise AlreadyExistsError(409, "AlreadyExists", f"{name} exists")
        body["metadata"] |= {
            "uid": f"uid-{next(self._uids)}",
            "creationTimestamp": self.now.isoformat(),
            "generation": 1,
            "namespace": namespace,
        }
        if resource.plural == "taskruns":
            body.setdefault("status", dict(TaskRun.born))
        return self.store(resource.plural, body, "ADDED")

    async def patch(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        body: Any,
        *,
        subresource: str | None = None,
        content_type: str = "",
    ) -> bytes:
        before = self.read(resource.plural, name)
        body = msgspec.json.decode(msgspec.json.encode(body))
        after = _json_patched(before, body) if content_type == JSON_PATCH else _merged(before, body)
        if subresource == "status":
            after |= {field: before[field] for field in before if field not in {"status", "metadata"}}
        if after["metadata"]["resourceVersion"] != before["metadata"]["resourceVersion"]:
            raise ConflictError(409, "Conflict", f"{name} has changed")
        if after["metadata"]["uid"] != before["metadata"]["uid"]:
            raise ConflictError(409, "Conflict", f"{name} is another object")
        return self.update(resource.plural, before, after)

    async def replace(self, resource: Resource, namespace: str, name: str, body: dict[str, Any]) -> bytes:
        before = self.read(resource.plural, name)
        after = _as_stored(msgspec.json.decode(msgspec.json.encode(body)))
        if after["metadata"]["resourceVersion"] != before["metadata"]["resourceVersion"]:
            raise ConflictError(409, "Conflict", f"{name} has changed")
        own = {field: before["metadata"][field] for field in ("uid", "creationTimestamp", "generation", "namespace")}
        after["metadata"] = {**after["metadata"], **own}
        return self.update(resource.plural, before, after)

    async def delete(
        self, resource: Resource, namespace: str, name: str, *, uid: str, resource_version: str | None = None
    ) -> bytes:
        obj = self.read(resource.plural, name)
        metadata = obj["metadata"]
        if metadata["uid"] != uid or (resource_version not in {None, metadata["resourceVersion"]}):
            raise ConflictError(409, "Conflict", "precondition failed")
        self.delete_now(resource.plural, name)
        return b"{}"

    # --- what the rest of the world does ------------------------------------------------------------------------------

    def read(self, plural: str, name: str) -> dict[str, Any]:
        if (plural, name) not in self.objects:
            raise NotFoundError(404, "NotFound", name)
        return self.objects[plural, name]

    def find(self, plural: str) -> list[dict[str, Any]]:
        return [obj for (kind, _), obj in self.objects.items() if kind == plural]

    def update(self, plural: str, before: dict[str, Any], after: dict[str, Any]) -> bytes:
        if before.get("response") is not None and after.get("response") != before["response"]:
            raise InvalidError(422, "Invalid", "the first stored response wins")
        phase = before.get("status", {}).get("phase")
        if plural == "taskruns" and phase in FINISHED and after.get("status", {}).get("phase") != phase:
            raise InvalidError(422, "Invalid", "the run is finished")
        if plural == "taskruns" and phase in FINISHED and "abort" in after["spec"] and "abort" not in before["spec"]:
            raise InvalidError(422, "Invalid", "spec.abort cannot be set: the run is finished already")
        if after == before:
            return msgspec.json.encode(before)
        if plural in {"taskruns", "taskdefinitions"} and after["spec"] != before["spec"]:
            after["metadata"] = {**after["metadata"], "generation": before["metadata"]["generation"] + 1}
        stored = self.store(plural, after, "MODIFIED")
        metadata = after["metadata"]
        is_held = metadata.get("finalizers") or metadata.get("deletionGracePeriodSeconds")
        if "deletionTimestamp" in metadata and not is_held:
            self.remove(plural, metadata["name"])
        return stored

    def store(self, plural: str, obj: dict[str, Any], event: str) -> bytes:
        self.version += 1
        obj = {**obj, "metadata": {**obj["metadata"], "resourceVersion": str(self.version)}}
        self.objects[plural, obj["metadata"]["name"]] = obj
        self.events.append((plural, event, obj))  # it is replaced, never changed
        return msgspec.json.encode(obj)

    def change(self, plural: str, name: str, patch: dict[str, Any]) -> None:
        before = self.read(plural, name)
        self.update(plural, before, _merged(before, patch))

    def remove(self, plural: str, name: str) -> None:
        obj = self.objects.pop((plural, name))
        self.removed_at[obj["metadata"]["uid"]] = self.now
        self.version += 1
        obj = {**obj, "metadata": {**obj["metadata"], "resourceVersion": str(self.version)}}
        self.events.append((plural, "DELETED", obj))

    def delete_now(self, plural: str, name: str) -> None:
        """Delete an object as the API server does that is asked to: at once, or when its finalizers are gone."""
        metadata = self.read(plural, name)["metadata"]
        if plural == "pods":
            self.delete_pod(name)
        elif not metadata.get("finalizers"):
            self.remove(plural, name)
        elif "deletionTimestamp" not in metadata:
            self.change(plural, name, {"metadata": {"deletionTimestamp": self.now.isoformat()}})

    def delete_pod(self, name: str) -> None:
        """Delete a pod as the API server does: at once if no kubelet has it, else with its grace period."""
        pod = self.read("pods", name)
        if not pod["spec"].get("nodeName"):
            self.remove_pod(name)
        elif "deletionTimestamp" not in pod["metadata"]:
            grace = pod["spec"].get("terminationGracePeriodSeconds", 30)
            until = self.now + timedelta(seconds=grace)
            deletion = {"deletionTimestamp": until.isoformat(), "deletionGracePeriodSeconds": grace}
            self.change("pods", name, {"metadata": deletion})

    def remove_pod(self, name: str) -> None:
        """Delete a pod without a grace period: it goes at once, or when its finalizers are gone."""
        metadata = self.read("pods", name)["metadata"]
        if not metadata.get("finalizers"):
            self.remove("pods", name)
            return
        grace = timedelta(seconds=metadata.get("deletionGracePeriodSeconds", 0))
        asked = datetime.fromisoformat(metadata["deletionTimestamp"]) if "deletionTimestamp" in metadata else self.now
        deletion = {"deletionTimestamp": (asked - grace).isoformat(), "deletionGracePeriodSeconds": 0}
        self.change("pods", name, {"metadata": deletion})


def _as_stored(value: Any) -> Any:
    """Return a copy with numbers as the real API server stores them: 1.0 becomes 1. Those of 16 digits do not occur."""
    if isinstance(value, dict):
        return {key: _as_stored(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_as_stored(item) for item in value]
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    return value


def _merged(target: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    """Return `target` with a JSON merge patch applied. What is the same is shared: objects are never changed."""
    result = dict(target)
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, dict) and isinstance(target.get(key), dict):
            result[key] = _merged(target[key], value)
        else:
            result[key] = _as_stored(value)
    return result


def _json_patched(target: dict[str, Any], patch: list[dict[str, Any]]) -> dict[str, Any]:
    for step in patch:
        target = _stepped(target, step["path"].strip("/").split("/"), step)
    return target


def _stepped(target: Any, path: list[str], step: dict[str, Any]) -> Any:
    """Return `target` with one step of a JSON patch applied below it."""
    first, *others = path
    result: Any = list(target) if isinstance(target, list) else dict(target)
    # The patch is applied before its resource version is looked at, so a stale one may end like this.
    missing = InvalidError(422, "Invalid", f"{step['path']} does not exist")
    if others:
        if first not in target:
            raise missing
        result[first] = _stepped(target[first], others, step)
    elif step["op"] == "remove":
        if first not in target:
            raise missing
        del result[first]
    elif isinstance(result, list) and first == "-":
        result.append(_as_stored(step["value"]))
    else:
        result[first] = _as_stored(step["value"])
    return result
