"""An API server in memory: objects with UIDs, versions, owners and finalizers, as far as the relay needs them.

Like a real one, it rejects existing names, old versions, a second response and objects that are too large; it deletes
pods with their grace period, passes every change to a listener, and knows the latest ones for watches. Its methods are
thread-safe. Stored objects are immutable: methods return the stored object itself, which callers must not change.

`rest` provides it as HTTP, `memory_client` as the operator's client.
"""

import secrets
import threading
import uuid
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Any, Final, Literal, NamedTuple

import msgspec

from podrelay.api import numbers
from podrelay.kube.api import APPLY_PATCH, JSON_PATCH, MERGE_PATCH, STRATEGIC_MERGE_PATCH
from podrelay.kube.errors import AlreadyExistsError, ApiError, ConflictError, NotFoundError
from podrelay.local import patches, schema, selectors
from podrelay.local.history import Event, History
from podrelay.local.kinds import KINDS, Kind, ObjectName
from podrelay.local.owners import Owners
from podrelay.local.pod_logs import PodLogs

PODS: Final = "pods"
MAX_OBJECT_BYTES: Final = 1536 * 1024
"""Maximum size of an object as JSON: etcd accepts no larger request."""
_FIRST: Final = ("apiVersion", "kind", "metadata")
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


class Page(NamedTuple):
    """A part of a list.

    Attributes:
        items: the objects.
        version: the version that the list shows.
        following: the value of `after` for the next page; "" at the end.
    """

    items: list[Object]
    version: int
    following: str


class MemoryApi:
    """Stores all objects and reports their changes.

    Args:
        now: returns the current time in UTC, with a time zone.
        notify: called with every change, in order, by the thread that made it and before its request is answered.
        admit: validates objects and sets defaults.
        new_uid: generates UIDs.
        stored: the objects of an earlier server.
        version: the version of that server's last change.
    """

    def __init__(
        self,
        now: Callable[[], datetime],
        notify: Callable[[Event], None],
        *,
        admit: Admission = schema.admitted,
        new_uid: Callable[[], str] = lambda: str(uuid.uuid4()),
        stored: Iterable[tuple[str, Object]] = (),
        version: int = 100,
    ) -> None:
        self.logs = PodLogs()
        self._now = now
        self._notify = notify
        self._admit = admit
        self._new_uid = new_uid
        self._lock = threading.RLock()
        self._has_changed = threading.Condition(self._lock)
        self._objects: dict[str, dict[ObjectName, Object]] = {plural: {} for plural in KINDS}
        self._owners = Owners()
        self._version = version
        self._history = History(version)
        for plural, obj in stored:
            self._put(ObjectName(plural, obj["metadata"].get("namespace", ""), obj["metadata"]["name"]), obj)
        self._owners.suspect_all()

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
        stored = self._objects.get(plural, {}).get(ObjectName(plural, namespace, name))
        if stored is None:
            raise NotFoundError(404, "NotFound", f'{_full_name(plural)} "{name}" not found')
        return stored

    def find(
        self,
        plural: str,
        namespace: str = "",
        *,
        fields: str = "",
        labels: str = "",
        limit: int = 0,
        after: str = "",
        version: int | None = None,
    ) -> Page:
        """Return objects, ordered by namespace and name.

        Args:
            plural: the kind of object.
            namespace: the namespace; "" means all.
            fields: a field selector, for example `spec.parent=shop,spec.definition=import`.
            labels: a label selector.
            limit: maximum number of objects; 0 means all.
            after: continues the list of an earlier page, as of the same moment.
            version: return the objects of this version; None: the current ones.

        Raises:
            NotFoundError: the kind of object does not exist.
            ApiError: 400, a selector is invalid.
            GoneError: the version is too old.
        """
        _check_exists(plural)
        matches = selectors.of(fields, labels)
        last = ("", "")
        if after:
            moment, *name = after.split("/")
            version, last = int(moment), (name[0], name[1])
        with self._lock:
            version = self._version if version is None else version
            found = sorted(
                (
                    (name[1:], stored)
                    for name, stored in self._at(version, plural).items()
                    if namespace in {"", name.namespace} and name[1:] > last and matches(stored)
                ),
                key=lambda item: item[0],
            )
        page = found[:limit] if limit else found
        following = f"{version}/{'/'.join(page[-1][0])}" if len(page) < len(found) else ""
        return Page([stored for _, stored in page], version, following)

    def changes(self, version: int) -> list[Event]:
        """Return the changes after a version.

        Raises:
            GoneError: the version is too old.
        """
        with self._lock:
            return self._history.since(version)

    def wait_for_changes(self, version: int, seconds: float) -> list[Event]:
        """Wait until there are changes after a version, but not longer than some seconds, and return them.

        Raises:
            GoneError: the version is too old.
        """
        with self._has_changed:
            self._has_changed.wait_for(lambda: self._version > version, max(0.0, seconds))
            return self._history.since(version)

    def log(self, namespace: str, name: str) -> bytes:
        """Return the output of the container of a pod.

        Raises:
            NotFoundError: the pod does not exist.
        """
        return self.logs.read(self.get(PODS, namespace, name)["metadata"]["uid"])

    # --- writing ------------------------------------------------------------------------------------------------------

    def create(self, plural: str, namespace: str, body: Object, *, dry_run: bool = False) -> Object:
        """Store a new object and return it; with `dry_run`, return what would be stored.

        Raises:
            NotFoundError: the kind of object does not exist.
            AlreadyExistsError: an object with this name exists.
            InvalidError: the object violates a rule.
        """
        kind = _check_exists(plural)
        body = _as_json(body)
        metadata = {key: value for key, value in (body.get("metadata") or {}).items() if key != "resourceVersion"}
        name = metadata.get("name") or f"{metadata.pop('generateName', 'object-')}{secrets.token_hex(3)}"
        metadata |= {
            "name": name,
            **({"namespace": namespace} if kind.is_namespaced else {}),
            "uid": self._new_uid(),
            "creationTimestamp": _seconds(self._now()),
            "generation": 1,
        }
        created = body | {"apiVersion": kind.api_version, "kind": kind.name, "metadata": metadata}
        created = {field: created[field] for field in _FIRST} | created
        if kind.first_status is not None:
            created["status"] = kind.first_status
        with self._lock:
            key = ObjectName(plural, namespace, name)
            admitted = self._admit(plural, None, created)
            if key in self._objects[plural]:
                raise AlreadyExistsError(409, "AlreadyExists", f'{_full_name(plural)} "{name}" already exists')
            stored = _as_stored(None, admitted)
            return stored if dry_run else self._store(key, "ADDED", stored)

    def replace(
        self, plural: str, namespace: str, name: str, body: Object, *, subresource: str = "", dry_run: bool = False
    ) -> Object:
        """Replace an object, except for its status, or only its status, and return the stored object.

        Raises:
            NotFoundError: the object does not exist.
            ConflictError: the stored object has another version or UID than `body`.
            InvalidError: the new object violates a rule.
        """
        with self._lock:
            key, before = ObjectName(plural, namespace, name), self.get(plural, namespace, name)
            return self._change(key, before, _merge(plural, before, _as_json(body), subresource), dry_run=dry_run)

    def patch(
        self,
        plural: str,
        namespace: str,
        name: str,
        patch: Object | list[Object],
        *,
        subresource: str = "",
        content_type: str = "",
        dry_run: bool = False,
    ) -> Object:
        """Patch an object and return the stored object. Server-side apply creates it if it does not exist.

        Args:
            plural: the kind of object.
            namespace: its namespace.
            name: its name.
            patch: the patch. A metadata.resourceVersion in it makes it conditional.
            subresource: "" for everything except the status, or "status" for the status only.
            content_type: the type of `patch`; by default a list is a JSON patch, and an object is a merge patch.
            dry_run: return what would be stored.

        Raises:
            NotFoundError: the object does not exist.
            ConflictError: the stored object has another version or UID than the patch.
            InvalidError: the new object violates a rule, or the patch cannot be applied.
        """
        content_type = content_type or (JSON_PATCH if isinstance(patch, list) else MERGE_PATCH)
        if content_type not in _PATCHES:
            raise ApiError(415, "UnsupportedMediaType", f"{content_type} is not the type of a patch")
        key = ObjectName(plural, namespace, name)
        with self._lock:
            if content_type == APPLY_PATCH and key not in self._objects.get(plural, {}):
                own = patch if isinstance(patch, dict) else {}
                named = own | {"metadata": (own.get("metadata") or {}) | {"name": name}}
                return self.create(plural, namespace, named, dry_run=dry_run)
            before = self.get(plural, namespace, name)
            after: Object = _PATCHES[content_type](before, _as_json(patch))
            return self._change(key, before, _merge(plural, before, after, subresource), dry_run=dry_run)

    def delete(
        self,
        plural: str,
        namespace: str,
        name: str,
        *,
        uid: str | None = None,
        version: str | None = None,
        grace_seconds: int | None = None,
        orphans: bool = False,
        dry_run: bool = False,
    ) -> Object | None:
        """Delete an object: at once, or, for a pod, after its grace period, and when it has no finalizers.

        Return the object if it still exists.

        Args:
            plural: the kind of object.
            namespace: its namespace.
            name: its name.
            uid: delete only the object with this UID.
            version: delete only this version of it.
            grace_seconds: grace period of a pod; a kubelet sends 0 when the container has ended. Default: from the pod.
            orphans: keep the objects that it owns.
            dry_run: do nothing, except for the checks.

        Raises:
            NotFoundError: the object does not exist.
            ConflictError: the stored object has another UID or version.
        """
        with self._lock:
            key, stored = ObjectName(plural, namespace, name), self.get(plural, namespace, name)
            metadata = stored["metadata"]
            if uid not in {None, metadata["uid"]} or version not in {None, metadata["resourceVersion"]}:
                raise ConflictError(409, "Conflict", f'{plural} "{name}" has changed')
            if dry_run:
                return stored
            if orphans:
                self._disown(metadata["uid"])
            grace = _grace(stored, grace_seconds) if plural == PODS else 0
            if grace == 0 and not metadata.get("finalizers"):
                self._remove(key)
                return None
            before = metadata.get("deletionGracePeriodSeconds", 0)
            if "deletionTimestamp" in metadata and grace >= before:
                return stored
            asked = self._now()
            if "deletionTimestamp" in metadata:
                asked = datetime.fromisoformat(metadata["deletionTimestamp"]) - timedelta(seconds=before)
            deletion = {
                "deletionTimestamp": _seconds(asked + timedelta(seconds=grace)),
                "deletionGracePeriodSeconds": grace,
            }
            return self._store(key, "MODIFIED", stored | {"metadata": metadata | deletion})

    def collect_garbage(self) -> bool:
        """Delete objects all of whose owners were deleted, as the garbage collector does in the background.

        Return whether there were any. Their own dependents are deleted by the next call.
        """
        with self._lock:
            known = ((key, self._objects[key.plural].get(key)) for key in self._owners.suspects())
            found = [key for key, stored in known if stored is not None and self._owners.is_garbage(stored)]
            for key in found:
                self.delete(*key)
            return bool(found)

    # --- within -------------------------------------------------------------------------------------------------------

    def _change(self, key: ObjectName, before: Object, after: Object, *, dry_run: bool = False) -> Object:
        old, new = before["metadata"], after.get("metadata") or {}
        # Without a version, the write is unconditional.
        if new.get("resourceVersion", old["resourceVersion"]) != old["resourceVersion"]:
            raise ConflictError(409, "Conflict", f'the object has been modified: {key.plural} "{key.name}"')
        if new.get("uid", old["uid"]) != old["uid"]:
            raise ConflictError(409, "Conflict", f'{key.plural} "{key.name}" is another object than before')
        fixed = {field: old[field] for field in _FIXED if field in old}
        free = {field: value for field, value in new.items() if field not in _FIXED}
        kind = {field: before[field] for field in ("apiVersion", "kind")}
        after = after | kind | {"metadata": free | fixed | {"generation": old["generation"]}}
        if _is_same(before, after):
            return before
        after = _as_stored(before, self._admit(key.plural, before, after))
        if before.get("spec") != after.get("spec"):
            after["metadata"]["generation"] += 1
        elif _is_same(before, after):  # only defaults were missing
            return before
        if dry_run:
            return after
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
        stored = after | {"metadata": after["metadata"] | {"resourceVersion": self._next()}}
        before = self._objects[key.plural].get(key)
        self._put(key, stored)
        self._report(Event(key.plural, type_, stored, before), size)
        return stored

    def _put(self, key: ObjectName, stored: Object) -> None:
        self._objects[key.plural][key] = stored
        self._owners.add(key, stored)

    def _remove(self, key: ObjectName) -> None:
        stored = self._objects[key.plural].pop(key)
        metadata = stored["metadata"]
        self._owners.remove(key, stored)
        if key.plural == PODS:
            self.logs.remove(metadata["uid"])
        last = stored | {"metadata": metadata | {"resourceVersion": self._next()}}
        self._report(Event(key.plural, "DELETED", last, stored), len(msgspec.json.encode(last)))

    def _disown(self, uid: str) -> None:
        for key in self._owners.release(uid):
            stored = self.get(*key)
            owners = [owner for owner in stored["metadata"]["ownerReferences"] if owner["uid"] != uid]
            self._store(key, "MODIFIED", stored | {"metadata": stored["metadata"] | {"ownerReferences": owners}})

    def _at(self, version: int, plural: str) -> dict[ObjectName, Object]:
        """Return the objects of a kind as of a version."""
        current = self._objects[plural]
        if version == self._version:
            return current
        found = dict(current)
        for event in reversed(self._history.since(version)):
            if event.plural != plural:
                continue
            metadata = event.object["metadata"]
            name = ObjectName(plural, metadata.get("namespace", ""), metadata["name"])
            if event.before is None:
                found.pop(name, None)
            else:
                found[name] = event.before
        return found

    def _report(self, event: Event, size: int) -> None:
        self._history.add(event, size)
        self._has_changed.notify_all()
        self._notify(event)

    def _next(self) -> str:
        self._version += 1
        return str(self._version)


_PATCHES: Final[dict[str, Callable[[Object, Any], Object]]] = {
    MERGE_PATCH: patches.merged,
    STRATEGIC_MERGE_PATCH: patches.strategically_merged,
    JSON_PATCH: patches.patched,
    # Who has set which field is not recorded, so a field that a manifest no longer has stays.
    APPLY_PATCH: patches.merged,
}


def _is_same(before: Object, after: Object) -> bool:
    return after == before and schema.is_same(after, before)


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
    return after | {"status": before["status"]} if KINDS[plural].first_status is not None else after


def _check_exists(plural: str) -> Kind:
    if plural not in KINDS:
        raise NotFoundError(404, "NotFound", f"there are no {plural} here")
    return KINDS[plural]


def _full_name(plural: str) -> str:
    group = KINDS[plural].resource.group if plural in KINDS else ""
    return f"{plural}.{group}" if group else plural


def _grace(pod: Object, wanted: int | None) -> int:
    """Return the grace period in seconds for the deletion of a pod."""
    if not pod["spec"].get("nodeName") or pod["status"].get("phase") in _ENDED:
        return 0
    seconds: int = pod["spec"].get("terminationGracePeriodSeconds", _GRACE_SECONDS) if wanted is None else wanted
    return seconds


def _seconds(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"
