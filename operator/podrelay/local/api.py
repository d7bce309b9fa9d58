"""An API server in memory: objects with UIDs, versions and owners, and what the relay relies on of the real one.

It refuses what the real one refuses (names that exist, versions that are old, a second response), it collects garbage
by owner references, and it tells every change to whoever listens. Its methods may be called by several threads.
"""

import json
import secrets
import threading
import uuid
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, Final, NamedTuple

from podrelay.api import names, numbers
from podrelay.local import patches, schema
from podrelay.local.errors import RefusedError

PODS: Final = "pods"
_KINDS: Final = {
    PODS: ("v1", "Pod"),
    names.TASK_DEFINITIONS: (names.API_VERSION, "TaskDefinition"),
    names.TASK_RUNS: (names.API_VERSION, "TaskRun"),
    names.TASK_ITERATIONS: (names.API_VERSION, "TaskIteration"),
}
_FIRST: Final = ("apiVersion", "kind", "metadata")
_WITH_STATUS: Final = frozenset({PODS, names.TASK_RUNS})

Object = dict[str, Any]


class Event(NamedTuple):
    """A change, as a watch would tell it."""

    plural: str
    is_deletion: bool
    object: Object


class _Name(NamedTuple):
    plural: str
    namespace: str
    name: str


class MemoryApi:
    """All objects, and their changes.

    Args:
        now: returns the current time, aware, UTC.
        tell: called with every change, in order, by the thread that made it and before its request is answered.
    """

    def __init__(self, now: Callable[[], datetime], tell: Callable[[Event], None]) -> None:
        self._now = now
        self._tell = tell
        self._lock = threading.RLock()
        self._objects: dict[_Name, Object] = {}
        self._version = 0

    # --- reading ----------------------------------------------------------------------------------------------------

    def get(self, plural: str, namespace: str, name: str) -> Object:
        """Return a copy of an object.

        Raises:
            RefusedError: 404.
        """
        with self._lock:
            return _copy(self._stored(_Name(plural, namespace, name)))

    def find(
        self, plural: str, namespace: str, *, fields: str = "", labels: str = "", limit: int = 0, after: str = ""
    ) -> tuple[list[Object], str]:
        """Return objects in the order of their names, and the name to go on `after` ("" at the end).

        Args:
            plural: the kind of object.
            namespace: where.
            fields: a field selector of equalities, for example `spec.parent=shop,spec.definition=import`.
            labels: a label selector of equalities.
            limit: how many at most; 0 means all.
            after: only objects whose names come after this one.

        Raises:
            RefusedError: 400, a selector that is more than equalities.
        """
        wanted = [(key.split("."), value) for key, value in _equalities(fields)]
        wanted += [(["metadata", "labels", key], value) for key, value in _equalities(labels)]
        with self._lock:
            found = sorted(
                (
                    stored
                    for key, stored in self._objects.items()
                    if key[:2] == (plural, namespace) and key.name > after and _matches(stored, wanted)
                ),
                key=lambda stored: str(stored["metadata"]["name"]),
            )
            page = [_copy(stored) for stored in (found[:limit] if limit else found)]
        return page, page[-1]["metadata"]["name"] if len(page) < len(found) else ""

    # --- writing ----------------------------------------------------------------------------------------------------

    def create(self, plural: str, namespace: str, body: Object) -> Object:
        """Store a new object and return it as it is stored.

        Raises:
            RefusedError: 409, its name exists; 422, it is invalid.
        """
        created = _copy(body)
        metadata = created.setdefault("metadata", {})
        name = metadata.get("name") or f"{metadata.pop('generateName', 'object-')}{secrets.token_hex(3)}"
        api_version, kind = _KINDS[plural]
        own = {
            "name": name,
            "namespace": namespace,
            "uid": str(uuid.uuid4()),
            "creationTimestamp": _seconds(self._now()),
            "generation": 1,
        }
        created = {**created, "apiVersion": api_version, "kind": kind, "metadata": metadata | own}
        created = {field: created[field] for field in _FIRST} | created
        if plural in _WITH_STATUS:
            created.pop("status", None)
        with self._lock:
            key = _Name(plural, namespace, name)
            if key in self._objects:
                raise RefusedError(409, "AlreadyExists", f'{plural} "{name}" already exists')
            return self._store(key, None, created)

    def replace(self, plural: str, namespace: str, name: str, body: Object) -> Object:
        """Replace an object, without its status, and return it as it is stored.

        Raises:
            RefusedError: 404; 409, it has changed; 422, it is invalid.
        """
        with self._lock:
            key = _Name(plural, namespace, name)
            before = self._stored(key)
            after = _copy(body)
            if plural in _WITH_STATUS:
                after["status"] = before.get("status", {})
            return self._change(key, before, after)

    def patch(
        self, plural: str, namespace: str, name: str, patch: Object | list[Object], *, subresource: str = ""
    ) -> Object:
        """Apply a merge patch (an object) or a JSON patch (a list), and return the object as it is stored.

        `subresource` is "" for all but the status, or "status" for nothing else.

        Raises:
            RefusedError: 404; 409, it has changed; 422, it is invalid.
        """
        with self._lock:
            key = _Name(plural, namespace, name)
            before = self._stored(key)
            after = patches.patched(before, patch) if isinstance(patch, list) else patches.merged(before, patch)
            if subresource:
                after = {**before, "metadata": after["metadata"], "status": after["status"]}
            elif plural in _WITH_STATUS and "status" in before:
                after["status"] = before["status"]
            return self._change(key, before, after)

    def delete(
        self, plural: str, namespace: str, name: str, *, uid: str | None = None, version: str | None = None
    ) -> None:
        """Delete an object, and whatever belongs to it alone.

        Raises:
            RefusedError: 404; 409, it has another UID or version than given.
        """
        with self._lock:
            key = _Name(plural, namespace, name)
            stored = self._stored(key)
            metadata = stored["metadata"]
            if uid not in {None, metadata["uid"]} or version not in {None, metadata["resourceVersion"]}:
                raise RefusedError(409, "Conflict", f'{plural} "{name}" has changed')
            del self._objects[key]
            self._tell(Event(plural, True, _copy({**stored, "metadata": metadata | {"resourceVersion": self._next()}})))
            self._collect_garbage(metadata["uid"])

    # --- within -----------------------------------------------------------------------------------------------------

    def _stored(self, key: _Name) -> Object:
        stored = self._objects.get(key)
        if stored is None:
            raise RefusedError(404, "NotFound", f'{key.plural} "{key.name}" not found')
        return stored

    def _change(self, key: _Name, before: Object, after: Object) -> Object:
        old, new = before["metadata"], after.setdefault("metadata", {})
        # Without a version the write is meant for whatever is there.
        if new.get("resourceVersion", old["resourceVersion"]) != old["resourceVersion"]:
            raise RefusedError(409, "Conflict", f'the object has been modified: {key.plural} "{key.name}"')
        if new.get("uid", old["uid"]) != old["uid"]:
            raise RefusedError(409, "Conflict", f'{key.plural} "{key.name}" is another object than before')
        fixed = {field: old[field] for field in ("name", "namespace", "uid", "creationTimestamp", "resourceVersion")}
        generation = old["generation"] + (before.get("spec") != after.get("spec"))
        after["metadata"] = new | fixed | {"generation": generation}
        if schema.is_same(after, before):
            return _copy(before)
        return self._store(key, before, after)

    def _store(self, key: _Name, before: Object | None, after: Object) -> Object:
        stored = numbers.as_stored(schema.admitted(key.plural, before, after))
        stored["metadata"]["resourceVersion"] = self._next()
        self._objects[key] = stored
        self._tell(Event(key.plural, False, _copy(stored)))
        return _copy(stored)

    def _next(self) -> str:
        self._version += 1
        return str(self._version)

    def _collect_garbage(self, uid: str) -> None:
        alive = {stored["metadata"]["uid"] for stored in self._objects.values()}
        for key, stored in list(self._objects.items()):
            owners = {owner["uid"] for owner in stored["metadata"].get("ownerReferences", ())}
            if uid in owners and not owners & alive and key in self._objects:
                self.delete(key.plural, key.namespace, key.name)


def _copy(value: Object) -> Object:
    # Through JSON, as over the network: no tuple, date or shared list gets through.
    copied: Object = json.loads(json.dumps(value, allow_nan=False))
    return copied


def _seconds(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def _equalities(selector: str) -> Iterable[tuple[str, str]]:
    for term in filter(None, selector.split(",")):
        key, equals, value = term.replace("==", "=").partition("=")
        if not equals or key.endswith("!"):
            raise RefusedError(400, "BadRequest", f"selectors are equalities only here: {term}")
        yield key, value


def _matches(stored: Object, wanted: Iterable[tuple[list[str], str]]) -> bool:
    for path, value in wanted:
        place: Any = stored
        for part in path:
            place = place.get(part) if isinstance(place, dict) else None
        if (place or "") != value:
            return False
    return True
