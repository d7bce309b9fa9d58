"""An API server in memory: objects with UIDs, versions, owners and finalizers, as far as the relay relies on them.

It refuses what a real one refuses (names that exist, versions that are old, a second response, what is too large),
deletes pods with their grace period, and tells every change to a listener. Several threads may call its methods.
Objects are never changed once they are stored: what is returned is what is stored, and is not to be changed.

`rest` shows it as HTTP, `memory_client` as the operator's client.
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
from podrelay.kube.api import JSON_PATCH, MERGE_PATCH, STRATEGIC_MERGE_PATCH
from podrelay.kube.errors import AlreadyExistsError, ApiError, ConflictError, NotFoundError
from podrelay.local import patches, schema

PODS: Final = "pods"
MAX_OBJECT_BYTES: Final = 1536 * 1024
"""An object of more bytes of JSON is refused: etcd takes no larger request."""
_KINDS: Final = {
    PODS: ("v1", "Pod"),
    "events": ("v1", "Event"),
    names.TASK_DEFINITIONS: (names.API_VERSION, "TaskDefinition"),
    names.TASK_RUNS: (names.API_VERSION, "TaskRun"),
    names.TASK_ITERATIONS: (names.API_VERSION, "TaskIteration"),
}
_KNOWN_OWNERS: Final = frozenset(kind for _, kind in _KINDS.values())
_FIRST: Final = ("apiVersion", "kind", "metadata")
_FIRST_STATUS: Final[dict[str, dict[str, Any]]] = {PODS: {"phase": "Pending"}, names.TASK_RUNS: dict(TaskRun.born)}
"""Of the kinds that have a status of its own: what it is at first."""
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
"""Of a pod that says nothing else."""
_ENDED: Final = frozenset({"Succeeded", "Failed"})

Object = dict[str, Any]
Admission = Callable[[str, Object | None, Object], Object]
"""Takes the kind of object, the object as it is stored (None for a new one) and as it is to be; returns what to store.

What it raises refuses the write.
"""


class Event(NamedTuple):
    """A change, as a watch would tell it."""

    plural: str
    type: Literal["ADDED", "MODIFIED", "DELETED"]
    object: Object

    @property
    def is_deletion(self) -> bool:
        """Whether the object is no more."""
        return self.type == "DELETED"


class ObjectName(NamedTuple):
    """What tells one object from all others that are there."""

    plural: str
    namespace: str
    name: str


class MemoryApi:
    """All objects, and their changes.

    Args:
        now: returns the current time, aware, UTC.
        tell: called with every change, in order, by the thread that made it and before its request is answered.
        admit: what is refused, and what defaults are.
        new_uid: makes UIDs.
    """

    def __init__(
        self,
        now: Callable[[], datetime],
        tell: Callable[[Event], None],
        *,
        admit: Admission = schema.admitted,
        new_uid: Callable[[], str] = lambda: str(uuid.uuid4()),
    ) -> None:
        self.logs: dict[str, bytes] = {}
        """What the containers of pods have printed, by the UID of the pod."""
        self._now = now
        self._tell = tell
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
            NotFoundError: there is none.
        """
        stored = self._objects.get(ObjectName(plural, namespace, name))
        if stored is None:
            raise NotFoundError(404, "NotFound", f'{plural} "{name}" not found')
        return stored

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
            ApiError: 400, a selector that is more than equalities.
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
        """Return what the container of a pod has printed.

        Raises:
            NotFoundError: there is no such pod.
        """
        return self.logs.get(self.get(PODS, namespace, name)["metadata"]["uid"], b"")

    # --- writing ------------------------------------------------------------------------------------------------------

    def create(self, plural: str, namespace: str, body: Object, *, dry_run: bool = False) -> Object:
        """Store a new object and return it; with `dry_run`, return what would be stored.

        Raises:
            NotFoundError: there are no objects of this kind.
            AlreadyExistsError: its name exists.
            InvalidError: it breaks a rule.
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

    def replace(self, plural: str, namespace: str, name: str, body: Object) -> Object:
        """Replace an object, without its status, and return it as it is stored.

        Raises:
            NotFoundError: there is none.
            ConflictError: it has another version, or UID, than `body`.
            InvalidError: it breaks a rule.
        """
        with self._lock:
            key, before = ObjectName(plural, namespace, name), self.get(plural, namespace, name)
            return self._change(key, before, _keep_status(plural, before, _as_json(body)))

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
        """Patch an object and return it as it is stored.

        Args:
            plural: the kind of object.
            namespace: where it is.
            name: its name.
            patch: what to change. A metadata.resourceVersion in it makes it conditional.
            subresource: "" for all but the status, or "status" for nothing else.
            content_type: how to read `patch`; by default a list is a JSON patch, and an object a merge patch.

        Raises:
            NotFoundError: there is none.
            ConflictError: it has another version, or UID, than the patch says.
            InvalidError: it breaks a rule, or the patch does not fit.
        """
        content_type = content_type or (JSON_PATCH if isinstance(patch, list) else MERGE_PATCH)
        with self._lock:
            key, before = ObjectName(plural, namespace, name), self.get(plural, namespace, name)
            after: Object = _PATCHES[content_type](before, _as_json(patch))
            if subresource == "status":
                version = {field: after["metadata"].get(field) for field in ("uid", "resourceVersion")}
                after = before | {"metadata": before["metadata"] | version, "status": after.get("status", {})}
            else:
                after = _keep_status(plural, before, after)
            return self._change(key, before, after)

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
        """Delete an object: at once, or when its finalizers are gone, and a pod's container has had its time to end.

        Args:
            plural: the kind of object.
            namespace: where it is.
            name: its name.
            uid: only the object with this one.
            version: only this version of it.
            grace_seconds: of a pod; 0 is what kubelets say whose container has ended. Default: what the pod says.

        Raises:
            NotFoundError: there is none.
            ConflictError: it has another UID or version than given.
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
        """Delete, as the garbage collector does in the background, what only owners have that are no more.

        Return whether there was any. What they own themselves is left to the next call.
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
        # Without a version the write is meant for whatever is there.
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
        self._tell(Event(key.plural, type_, stored))
        return stored

    def _remove(self, key: ObjectName) -> None:
        stored = self._objects.pop(key)
        metadata = stored["metadata"]
        self._uids.discard(metadata["uid"])
        self.logs.pop(metadata["uid"], None)
        self._may_have_garbage = True
        self._tell(Event(key.plural, "DELETED", stored | {"metadata": metadata | {"resourceVersion": self._next()}}))

    def _next(self) -> str:
        self._version += 1
        return str(self._version)


_PATCHES: Final[dict[str, Callable[[Object, Any], Object]]] = {
    MERGE_PATCH: patches.merged,
    STRATEGIC_MERGE_PATCH: patches.strategically_merged,
    JSON_PATCH: patches.patched,
}


def _as_json(body: Any) -> Any:
    """Return a copy that is JSON; times become text."""
    return msgspec.to_builtins(body)


def _as_stored(before: Any, after: Any) -> Any:
    """Return `after` with numbers as they are kept; what it shares with `before` is so already, and stays shared."""
    if after is before or isinstance(after, str):
        return after
    if isinstance(after, dict):
        known = before if isinstance(before, dict) else {}
        return {key: _as_stored(known.get(key), value) for key, value in after.items()}
    return numbers.as_stored(after)


def _keep_status(plural: str, before: Object, after: Object) -> Object:
    return after | {"status": before["status"]} if plural in _FIRST_STATUS else after


def _grace(pod: Object, wanted: int | None) -> int:
    """Return how many seconds a pod that is deleted has left."""
    if not pod["spec"].get("nodeName") or pod["status"].get("phase") in _ENDED:
        return 0
    seconds: int = pod["spec"].get("terminationGracePeriodSeconds", _GRACE_SECONDS) if wanted is None else wanted
    return seconds


def _is_left_behind(stored: Object, uids: frozenset[str]) -> bool:
    owners = stored["metadata"].get("ownerReferences") or ()
    # Whether there is an owner of a kind that is not known here, nobody can tell.
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
