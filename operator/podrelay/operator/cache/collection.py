"""All objects of one kind in memory: only a newer version replaces an object, and deleted objects stay deleted.

So the response to a write is visible to the next plan at once (read your writes), and a late watch event cannot undo
it.
"""

from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterator
from typing import Any, Generic, NamedTuple, TypeVar

from podrelay.kube.resources import Key
from podrelay.operator.objects.definitions import TaskDefinition
from podrelay.operator.objects.records import Record
from podrelay.operator.objects.runs import TaskRun
from podrelay.operator.objects.schedules import TaskSchedule
from podrelay.operator.objects.signals import TaskSignal
from podrelay.operator.pods import Pod

T = TypeVar("T", TaskRun, TaskDefinition, Pod, Record, TaskSchedule, TaskSignal)
_REMEMBERED_DELETIONS = 20_000


class _Deleted(NamedTuple):
    """The facts that are kept about a deleted object."""

    version: int
    """Its last known resourceVersion."""
    was_seen: bool
    """Whether a list or watch reported the deletion; a live read may be newer than the next list."""


class Collection(Generic[T]):
    """All objects of one kind, grouped by a key; a `kube.reflector.Sink`.

    Args:
        group_of: returns the key that an object belongs to, or None for objects to ignore.
        changed: called with the key after every change.
        removed: called when an object is gone, with its key, its last known state, and whether that is its final state.
        restored: called when the API server has gone back in time, so that the cache is newer than the real objects.
    """

    def __init__(
        self,
        group_of: Callable[[T], Key | None],
        changed: Callable[[Key], None],
        removed: Callable[[Key, T, bool], None] = lambda _key, _obj, _is_last_state: None,
        restored: Callable[[], None] = lambda: None,
    ) -> None:
        self._group_of: Callable[[T], Key | None] = group_of
        self._changed = changed
        self._restored = restored
        self._removed: Callable[[Key, T, bool], None] = removed
        self._groups: defaultdict[Key, dict[str, T]] = defaultdict(dict)
        # The response to a write may arrive after the watch event of the object's deletion.
        self._deleted: OrderedDict[str, _Deleted] = OrderedDict()
        self._listed: dict[str | None, int] = {}
        """The version of the last list, by namespace (None: all namespaces)."""

    def __len__(self) -> int:
        return sum(map(len, self._groups.values()))

    def all_keys(self) -> Iterator[Key]:
        """Iterate over the keys that have objects."""
        return iter(list(self._groups))

    def of(self, key: Key) -> tuple[T, ...]:
        """Return the objects of one key."""
        group = self._groups.get(key)
        return tuple(group.values()) if group else ()

    def apply(self, obj: T) -> None:
        """Store the object unless a newer version, or its deletion, is already known."""
        key = self._group_of(obj)
        if key is None or obj.metadata.uid in self._deleted or self._is_missing_in_newer_list(key, obj):
            return
        self._store(key, obj)

    def _is_missing_in_newer_list(self, key: Key, obj: T) -> bool:
        """Whether a list newer than this version did not contain the object: the response to a read may be late."""
        listed = max(self._listed.get(None, 0), self._listed.get(key.namespace, 0))
        return _version(obj) <= listed and self._known(key, obj.metadata.name) is None

    def _store(self, key: Key, obj: T) -> None:
        known = self._known(key, obj.metadata.name)
        if known is not None and _version(known) >= _version(obj):
            # With another UID, it is an earlier object of that name: only one object has a name at a time.
            return
        if known is not None and known.metadata.uid != obj.metadata.uid:
            self._forget(key, known, was_seen=False)
        self._groups[key][obj.metadata.name] = obj
        self._changed(key)

    def restore(self, obj: T) -> None:
        """Store an object that a live read has found although its deletion was reported.

        It may only have left the watch, for example because a label changed. A read older than the deletion is ignored.
        """
        deleted = self._deleted.get(obj.metadata.uid)
        if deleted is not None and _version(obj) < deleted.version:
            return
        self._deleted.pop(obj.metadata.uid, None)
        key = self._group_of(obj)
        if key is not None:
            self._store(key, obj)

    def remove(self, obj: T, *, was_seen: bool = True) -> None:
        """Process the deletion of an object, given its last state; `was_seen`: a watch reported it, not a response."""
        key = self._group_of(obj)
        if key is None:
            return
        known = self._known(key, obj.metadata.name)
        if known is None or known.metadata.uid != obj.metadata.uid:
            self._bury(obj, was_seen=was_seen)
            return
        self._forget(key, obj, is_last_state=True, was_seen=was_seen)
        self._changed(key)

    def forget(self, key: Key, name: str, uid: str) -> None:
        """Remove an object that a live read did not find."""
        known = self._known(key, name)
        if known is not None and known.metadata.uid == uid:
            self._forget(key, known, was_seen=False)
            self._changed(key)

    def replace(self, objects: list[T], resource_version: str, namespace: str | None = None) -> None:
        """Store a list of one namespace, or of all, at `resource_version`; objects that are missing in it are gone."""
        present = {obj.metadata.uid for obj in objects}
        listed = int(resource_version)
        if any(self._is_from_the_past(obj, listed) for obj in objects):
            self._restored()
            return
        for key, group in list(self._groups.items()):
            if namespace is not None and key.namespace != namespace:
                continue
            for obj in list(group.values()):
                if obj.metadata.uid not in present and _version(obj) <= listed:
                    self._forget(key, obj)
                    self._changed(key)
        self._listed.pop(namespace, None)
        for obj in objects:
            self.apply(obj)
        self._listed[namespace] = listed

    def _is_from_the_past(self, obj: T, listed: int) -> bool:
        """Whether a list at version `listed` contains an older state of the object than was known for that version."""
        deleted = self._deleted.get(obj.metadata.uid)
        if deleted is not None:
            return deleted.was_seen and _version(obj) <= deleted.version <= listed
        key = self._group_of(obj)
        known = self._known(key, obj.metadata.name) if key is not None else None
        return known is not None and _version(obj) < _version(known) <= listed

    def _known(self, key: Key, name: str) -> T | None:
        return self._groups.get(key, {}).get(name)

    def _forget(self, key: Key, obj: T, *, is_last_state: bool = False, was_seen: bool = True) -> None:
        group = self._groups[key]
        del group[obj.metadata.name]
        if not group:
            del self._groups[key]
        self._bury(obj, was_seen=was_seen)
        self._removed(key, obj, is_last_state)

    def _bury(self, obj: T, *, was_seen: bool) -> None:
        self._deleted[obj.metadata.uid] = _Deleted(_version(obj), was_seen)
        if len(self._deleted) > _REMEMBERED_DELETIONS:
            self._deleted.popitem(last=False)


def _version(obj: Any) -> int:
    # Resource versions of one kind are comparable numbers (KEP-5504), in every API server since 1.0.
    return int(obj.metadata.resource_version)
