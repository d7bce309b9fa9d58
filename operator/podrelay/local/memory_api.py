"""An API server in memory: objects with UIDs, versions, owners and finalizers, as far as the relay needs them.

Like a real one, it rejects existing names, old versions, a second response and objects that are too large; it deletes
pods with their grace period, and passes every change to a listener. Its methods are thread-safe. Stored objects are
immutable: methods return the stored object itself, which callers must not change.

`rest` provides it as HTTP, `memory_client` as the operator's client.
"""

import secrets
import threading
import uuid
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Any, Final, Literal, NamedTuple

import msgspec

from podrelay.api import names, numbers
from podrelay.api.task_run import TaskRun
from podrelay.api.task_schedule import TaskSchedule
from podrelay.kube.api import JSON_PATCH, MERGE_PATCH, STRATEGIC_MERGE_PATCH
from podrelay.kube.errors import AlreadyExistsError, ApiError, ConflictError, NotFoundError
from podrelay.local import patches, schema

PODS: Final = "pods"
MAX_OBJECT_BYTES: Final = 1536 * 1024
"""Maximum size of an object as JSON: etcd accepts no larger request."""
_KINDS: Final = {
    PODS: ("v1", "Pod"),
    "events": ("v1", "Event"),
    names.TASK_DEFINITIONS: (names.API_VERSION, "TaskDefinition"),
    names.TASK_RUNS: (names.API_VERSION, "TaskRun"),
    names.TASK_ITERATIONS: (names.API_VERSION, "TaskIteration"),
    names.TASK_SCHEDULES: (names.API_VERSION, "TaskSchedule"),
}
_KNOWN_OWNERS: Final = frozenset(kind for _, kind in _KINDS.values())
_FIRST: Final = ("apiVersion", "kind", "metadata")
_FIRST_STATUS: Final[dict[str, dict[str, Any]]] = {
    PODS: {"phase": "Pending"},
    names.TASK_RUNS: dict(TaskRun.born),
    names.TASK_SCHEDULES: dict(TaskSchedule.born),
}
"""The initial status, for kinds with a status subresource."""
_FIXED: Final = (
    "name",
    "namespace",
    "uid",
    "creationTimestamp",
    "resourceVersion",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
)
_GRACE_SECONDS: Final = 30
"""Default grace period of a pod."""
_ENDED: Final = frozenset({"Succeeded", "Failed"})

Object = dict[str, Any]
Admission = Callable[[str, Object | None, Object], Object]
"""Called with the kind of object, the stored object (None for a new one) and the new object; returns what to store.

An exception rejects the write.
"""


class Event(NamedTuple):
    """A change, in the form of a watch event."""

    plural: str
    type: Literal["ADDED", "MODIFIED", "DELETED"]
    object: Object

    @property
    def is_deletion(self) -> bool:
        """Whether the object was deleted."""
        return self.type == "DELETED"


class ObjectName(NamedTuple):
    """The key of an object."""

    plural: str
    namespace: str
    name: str


class MemoryApi:
    """Stores all objects and reports their changes.

    Args:
        now: returns the current time in UTC, with a time zone.
        notify: called with every change, in order, by the thread that made it and before its request is answered.
        admit: validates objects and sets defaults.
        new_uid: generates UIDs.
    """

    def __init__(
        self,
        now: Callable[[], datetime],
        notify: Callable[[Event], None],
        *,
        admit: Admission = schema.admitted,
        new_uid: Callable[[], str] = lambda: str(uuid.uuid4()),
    ) -> None:
        self.logs: dict[str, bytes] = {}
        """The output of the containers of pods, by the UID of the pod."""
        self._now = now
        self._notify = notify
        self._admit = admit
        self._new_uid = new_uid
        self._lock = threading.RLock()
        self._objects: dict[ObjectName, Object] = {}
        self._uids: set[str] = set()
        self._may_have_garbage = False
        self._version = 100

    @property
    def version(self) -> int:
        """The version of the last change."""
        return self._version

    # --- reading ------------------------------------------------------------------------------------------------------

    def get(self, plural: str, namespace: str, name: str) -> Object:
        """Return an object.

        Raises:
            NotFoundError: the object does not exist.
        """
        stored = self._objects.get(ObjectName(plural, namespace, name))
        if stored is None:
            raise NotFoundError(404, "NotFound", f'{plural} "{name}" not found')
        return stored

    def find(
        self, plural: str, namespace: str, *, fields: str = "", labels: str = "", limit: int = 0, after: str = ""
    ) -> tuple[list[Object], str]:
        """Return objects ordered by name, and the value of `after` for the next page ("" at the end).

        Args:
            plural: the kind of object.
            namespace: the namespace.
            fields: a field selector of equalities, for example `spec.parent=shop,spec.definition=import`.
            labels: a label selector of equalities.
            limit: maximum number of objects; 0 means all.
            after: return only objects whose names come after this one.

        Raises:
            ApiError: 400, a selector has other operators than equality.
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
        page = found[:limit] if limit else found
        return page, page[-1]["metadata"]["name"] if len(page) < len(found) else ""

    def log(self, namespace: str, name: str) -> bytes:
        """Return the output of the container of a pod.

        Raises:
            NotFoundError: the pod does not exist.
        """
        return self.logs.get(self.get(PODS, namespace, name)["metadata"]["uid"], b"")

    # --- writing ------------------------------------------------------------------------------------------------------

    def create(self, plural: str, namespace: str, body: Object, *, dry_run: bool = False) -> Object:
        """Store a new object and return it; with `dry_run`, return what would be stored.

        Raises:
            NotFoundError: the kind of object does not exist.
            AlreadyExistsError: an object with this name exists.
            InvalidError: the object violates a rule.
        """
        if plural not in _KINDS:
            raise NotFoundError(404, "NotFound", f"there are no {plural} here")
        body = _as_json(body)
        metadata = dict(body.get("metadata") or {})
        name = metadata.get("name") or f"{metadata.pop('generateName', 'object-')}{secrets.token_hex(3)}"
        api_version, kind = _KINDS[plural]
        metadata |= {
            "name": name,
            "namespace": namespace,
            "uid": self._new_uid(),
            "creationTimestamp": _seconds(self._now()),
            "generation": 1,
        }
        created = body | {"apiVersion": api_version, "kind": kind, "metadata": metadata}
        created = {field: created[field] for field in _FIRST} | created
        if plural in _FIRST_STATUS:
            created["status"] = _FIRST_STATUS[plural]
        with self._lock:
            key = ObjectName(plural, namespace, name)
            admitted = self._admit(plural, None, created)
            if key in self._objects:
                raise AlreadyExistsError(409, "AlreadyExists", f'{plural} "{name}" already exists')
            stored = _as_stored(None, admitted)
            return stored if dry_run else self._store(key, "ADDED", stored)

    def replace(self, plural: str, namespace: str, name: str, body: Object, *, subresource: str = "") -> Object:
        """Replace an object, except for its status, or only its status, and return the stored object.

        Raises:
            NotFoundError: the object does not exist.
            ConflictError: the stored object has another version or UID than `body`.
            InvalidError: the new object violates a rule.
        """
        with self._lock:
            key, before = ObjectName(plural, namespace, name), self.get(plural, namespace, name)
            return self._change(key, before, _merge(plural, before, _as_json(body), subresource))

    def patch(
        self,
        plural: str,
        namespace: str,
        name: str,
        patch: Object | list[Object],
        *,
        subresource: str = "",
        content_type: str = "",
    ) -> Object:
        """Patch an object and return the stored object.

        Args:
            plural: the kind of object.
            namespace: its namespace.
            name: its name.
            patch: the patch. A metadata.resourceVersion in it makes it conditional.
            subresource: "" for everything except the status, or "status" for the status only.
            content_type: the type of `patch`; by default a list is a JSON patch, and an object is a merge patch.

        Raises:
            NotFoundError: the object does not exist.
            ConflictError: the stored object has another version or UID than the patch.
            InvalidError: the new object violates a rule, or the patch cannot be applied.
        """
        content_type = content_type or (JSON_PATCH if isinstance(patch, list) else MERGE_PATCH)
        with self._lock:
            key, before = ObjectName(plural, namespace, name), self.get(plural, namespace, name)
            after: Object = _PATCHES[content_type](before, _as_json(patch))
            return self._change(key, before, _merge(plural, before, after, subresource))

    def delete(
        self,
        plural: str,
        namespace: str,
        name: str,
        *,
        uid: str | None = None,
        version: str | None = None,
        grace_seconds: int | None = None,
    ) -> None:
        """Delete an object: at once, or, for a pod, after its grace period, and when it has no finalizers.

        Args:
            plural: the kind of object.
            namespace: its namespace.
            name: its name.
            uid: delete only the object with this UID.
            version: delete only this version of it.
            grace_seconds: grace period of a pod; a kubelet sends 0 when the container has ended. Default: from the pod.

        Raises:
            NotFoundError: the object does not exist.
            ConflictError: the stored object has another UID or version.
        """
        with self._lock:
            key, stored = ObjectName(plural, namespace, name), self.get(plural, namespace, name)
            metadata = stored["metadata"]
            if uid not in {None, metadata["uid"]} or version not in {None, metadata["resourceVersion"]}:
                raise ConflictError(409, "Conflict", f'{plural} "{name}" has changed')
            grace = _grace(stored, grace_seconds) if plural == PODS else 0
            if grace == 0 and not metadata.get("finalizers"):
                self._remove(key)
                return
            before = metadata.get("deletionGracePeriodSeconds", 0)
            if "deletionTimestamp" in metadata and grace >= before:
                return
            asked = self._now()
            if "deletionTimestamp" in metadata:
                asked = datetime.fromisoformat(metadata["deletionTimestamp"]) - timedelta(seconds=before)
            deletion = {
                "deletionTimestamp": _seconds(asked + timedelta(seconds=grace)),
                "deletionGracePeriodSeconds": grace,
            }
            self._store(key, "MODIFIED", stored | {"metadata": metadata | deletion})

    def collect_garbage(self) -> bool:
        """Delete objects all of whose owners were deleted, as the garbage collector does in the background.

        Return whether there were any. Their own dependents are deleted by the next call.
        """
        with self._lock:
            if not self._may_have_garbage:
                return False
            self._may_have_garbage = False
            uids = frozenset(self._uids)
            found = [
                key
                for key, stored in self._objects.items()
                if "deletionTimestamp" not in stored["metadata"] and _is_left_behind(stored, uids)
            ]
            for key in found:
                self.delete(key.plural, key.namespace, key.name)
            return bool(found)

    # --- within -------------------------------------------------------------------------------------------------------

    def _change(self, key: ObjectName, before: Object, after: Object) -> Object:
        old, new = before["metadata"], after.get("metadata") or {}
        # Without a version, the write is unconditional.
        if new.get("resourceVersion", old["resourceVersion"]) != old["resourceVersion"]:
            raise ConflictError(409, "Conflict", f'the object has been modified: {key.plural} "{key.name}"')
        if new.get("uid", old["uid"]) != old["uid"]:
            raise ConflictError(409, "Conflict", f'{key.plural} "{key.name}" is another object than before')
        fixed = {field: old[field] for field in _FIXED if field in old}
        free = {field: value for field, value in new.items() if field not in _FIXED}
        generation = old["generation"] + (before.get("spec") != after.get("spec"))
        after = after | {"metadata": free | fixed | {"generation": generation}}
        if after == before and schema.is_same(after, before):
            return before
        after = _as_stored(before, self._admit(key.plural, before, after))
        stored = self._store(key, "MODIFIED", after)
        metadata = after["metadata"]
        if "deletionTimestamp" in metadata and not (
            metadata.get("finalizers") or metadata.get("deletionGracePeriodSeconds")
        ):
            self._remove(key)
        return stored

    def _store(self, key: ObjectName, type_: Literal["ADDED", "MODIFIED"], after: Object) -> Object:
        size = len(msgspec.json.encode(after))
        if size > MAX_OBJECT_BYTES:
            raise ApiError(500, "InternalError", f"etcdserver: request is too large: {size} bytes")
        metadata = after["metadata"]
        stored = after | {"metadata": metadata | {"resourceVersion": self._next()}}
        self._objects[key] = stored
        self._uids.add(metadata["uid"])
        owners = metadata.get("ownerReferences") or ()
        self._may_have_garbage |= any(owner["uid"] not in self._uids for owner in owners)
        self._notify(Event(key.plural, type_, stored))
        return stored

    def _remove(self, key: ObjectName) -> None:
        stored = self._objects.pop(key)
        metadata = stored["metadata"]
        self._uids.discard(metadata["uid"])
        self.logs.pop(metadata["uid"], None)
        self._may_have_garbage = True
        self._notify(Event(key.plural, "DELETED", stored | {"metadata": metadata | {"resourceVersion": self._next()}}))

    def _next(self) -> str:
        self._version += 1
        return str(self._version)


_PATCHES: Final[dict[str, Callable[[Object, Any], Object]]] = {
    MERGE_PATCH: patches.merged,
    STRATEGIC_MERGE_PATCH: patches.strategically_merged,
    JSON_PATCH: patches.patched,
}


def _as_json(body: Any) -> Any:
    """Return a copy as JSON values; times become strings."""
    return msgspec.to_builtins(body)


def _as_stored(before: Any, after: Any) -> Any:
    """Return `after` with numbers in their stored form; parts that it shares with `before` are not copied."""
    if after is before or isinstance(after, str):
        return after
    if isinstance(after, dict):
        known = before if isinstance(before, dict) else {}
        return {key: _as_stored(known.get(key), value) for key, value in after.items()}
    return numbers.as_stored(after)


def _merge(plural: str, before: Object, after: Object, subresource: str) -> Object:
    """Return `before` with what a request for `subresource` may change: the status only, or everything except it."""
    if subresource == "status":
        version = {name: value for name, value in after["metadata"].items() if name in {"uid", "resourceVersion"}}
        return before | {"metadata": before["metadata"] | version, "status": after.get("status", {})}
    return after | {"status": before["status"]} if plural in _FIRST_STATUS else after


def _grace(pod: Object, wanted: int | None) -> int:
    """Return the grace period in seconds for the deletion of a pod."""
    if not pod["spec"].get("nodeName") or pod["status"].get("phase") in _ENDED:
        return 0
    seconds: int = pod["spec"].get("terminationGracePeriodSeconds", _GRACE_SECONDS) if wanted is None else wanted
    return seconds


def _is_left_behind(stored: Object, uids: frozenset[str]) -> bool:
    owners = stored["metadata"].get("ownerReferences") or ()
    # Owners of unknown kinds count as existing.
    return bool(owners) and all(owner["uid"] not in uids and owner["kind"] in _KNOWN_OWNERS for owner in owners)


def _seconds(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def _equalities(selector: str) -> Iterable[tuple[str, str]]:
    for term in filter(None, selector.split(",")):
        key, equals, value = term.replace("==", "=").partition("=")
        if not equals or key.endswith("!"):
            raise ApiError(400, "BadRequest", f"selectors are equalities only here: {term}")
        yield key, value


def _matches(stored: Object, wanted: Iterable[tuple[list[str], str]]) -> bool:
    for path, value in wanted:
        place: Any = stored
        for part in path:
            place = place.get(part) if isinstance(place, dict) else None
        if (place or "") != value:
            return False
    return True
