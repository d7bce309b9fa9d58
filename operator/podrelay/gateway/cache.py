"""What the watches have seen: each kind in memory, in the order of creation, indexed for the usual filters."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence, Sized
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Generic, Protocol, TypeAlias, TypeVar

from podrelay.gateway.objects import Definition, Metadata, Record, Run
from podrelay.gateway.ordered import Ordered
from podrelay.kube.resources import Key

_REMEMBERED_DELETIONS: Final = 10_000
_MOST_GROUPS: Final = 16
"""Values of an index that are looked up; whoever names more has all of a namespace looked through."""


class Cached(Protocol):
    """An object with an identity."""

    @property
    def metadata(self) -> Metadata:
        """Its identity."""

    @property
    def key(self) -> Key:
        """Namespace and name."""


T = TypeVar("T", bound=Cached)


@dataclass(frozen=True, slots=True)
class Change(Generic[T]):
    """What has happened to one object.

    Attributes:
        obj: its newest state that was seen.
        before: the state before that, None where it is new.
        gone: whether it is deleted.
    """

    obj: T
    before: T | None
    gone: bool = False


Listener = Callable[[Change[T]], None]

Age: TypeAlias = tuple[float, int, Key]
"""Where an object is in the order of creation: the second, the version at which it was seen first, and its name.

Within a second nothing that is stored tells what was created before what. Whoever watches sees each object first at the
version of its creation, and all gateways that watch see the same ones. One that has started later sees the version of
the last change instead, which is an order as well, but not always the same; names decide last.
"""


class Candidates(Generic[T]):
    """Objects to be looked through, in the order of creation.

    They are taken in parts, and the collection may change meanwhile: whatever stays is seen once.

    Args:
        objects: of the collection.
        groups: each in order, without a common member.
        index: the name of the index that they are from; None: all of a namespace, or of all namespaces.
    """

    def __init__(self, objects: Mapping[Key, T], groups: Sequence[Ordered[Age]], index: str | None) -> None:
        self._objects = objects
        self._groups = groups
        self.index = index

    def __len__(self) -> int:
        return sum(len(group) for group in self._groups)

    def part(self, after: Age | None, count: int, *, newest_first: bool) -> list[tuple[Age, T]]:
        """Return the next ones after a place; none after the last."""
        ages: list[Age] = []
        for group in self._groups:
            ages += group.below(after, count) if newest_first else group.above(after, count)
        if len(self._groups) > 1:
            ages.sort(reverse=newest_first)
        del ages[count:]
        return [(age, self._objects[age[2]]) for age in ages]


class Collection(Generic[T]):
    """All objects of a kind, as a reflector saw them last. It is the reflector's sink.

    Args:
        indexes: name of an index -> the value that an object has in it. Looked up together with the namespace.
    """

    def __init__(self, **indexes: Callable[[T], str | None]) -> None:
        self._objects: dict[Key, T] = {}
        self._ages: dict[Key, Age] = {}
        self._values = indexes
        self._groups: dict[_Group, Ordered[Age]] = {}
        self._listeners: set[Listener[T]] = set()
        self._written: set[Key] = set()
        """Objects that are here by the answer of a write: events that are older than it are on their way still."""
        self._deleted: dict[str, None] = {}
        """UIDs of objects that were deleted here, and whose events are on their way still."""

    def __len__(self) -> int:
        return len(self._objects)

    def get(self, key: Key) -> T | None:
        """Return an object, if it has been seen."""
        return self._objects.get(key)

    def age(self, key: Key) -> Age | None:
        """Return where an object is in the order of creation."""
        return self._ages.get(key)

    def all(self, namespace: str | None) -> list[T]:
        """Return the objects of one namespace, or of all, the oldest first."""
        return self._members(("", namespace, None))

    def indexed(self, name: str, namespace: str, value: str) -> list[T]:
        """Return the objects that have one value in one index, the oldest first."""
        return self._members((name, namespace, value))

    def candidates(self, namespace: str | None, wanted: Mapping[str, Iterable[str]]) -> Candidates[T]:
        """Return the candidates for a filter: all that have one of the wanted values in the index with the fewest.

        Args:
            namespace: one, or None for all; indexes are kept by namespace, so that all objects are candidates then.
            wanted: name of an index -> the values that will do.
        """
        everything = Candidates(self._objects, [self._groups.get(("", namespace, None), Ordered())], None)
        choices = [everything]
        for name, values in wanted.items():
            distinct = [*dict.fromkeys(values)]
            if namespace is not None and len(distinct) <= _MOST_GROUPS:
                found = [self._groups.get((name, namespace, value)) for value in distinct]
                choices.append(Candidates(self._objects, [group for group in found if group is not None], name))
        return min(reversed(choices), key=len)

    def some(self, keys: Iterable[Key]) -> Candidates[T]:
        """Return those of some objects that there are, as candidates."""
        group: Ordered[Age] = Ordered()
        for age in sorted(self._ages[key] for key in {*keys} if key in self._ages):
            group.add(age)
        return Candidates(self._objects, [group], None)

    def listen(self, listener: Listener[T]) -> Callable[[], None]:
        """Call `listener` with every change, from the event loop; return what ends that."""
        self._listeners.add(listener)
        return lambda: self._listeners.discard(listener)

    def replace(self, objects: list[T], resource_version: str, namespace: str | None = None) -> None:
        """Take all objects of one namespace, or of all; what is not among them has gone."""
        del resource_version
        self._written.clear()
        self._deleted.clear()
        listed = {obj.key for obj in objects}
        for gone in [obj for obj in self.all(namespace) if obj.key not in listed]:
            self.remove(gone)
        for obj in objects:
            self.apply(obj)

    def wrote(self, obj: T) -> None:
        """Take an object as a write, or a live read, has answered: it may be newer than what events tell next."""
        known = self._objects.get(obj.key)
        if known is not None and known.metadata.version >= obj.metadata.version:
            return
        self.apply(obj)
        self._written.add(obj.key)

    def deleted(self, key: Key, uid: str) -> None:
        """Take that an object was deleted; what events still tell of it does not bring it back."""
        self._deleted[uid] = None
        if len(self._deleted) > _REMEMBERED_DELETIONS:
            del self._deleted[next(iter(self._deleted))]
        known = self._objects.get(key)
        if known is not None and known.metadata.uid == uid:
            self._drop(known)

    def apply(self, obj: T) -> None:
        """Take one object that was added or changed, as an event tells."""
        key = obj.key
        before = self._objects.get(key)
        if obj.metadata.uid in self._deleted:
            return
        if key in self._written and before is not None:
            if obj.metadata.version < before.metadata.version:
                return
            self._written.discard(key)
        # After a restore of the API server's database versions are used again, for other states.
        is_same = before is not None and before.metadata.resource_version == obj.metadata.resource_version
        if is_same and before == obj:
            return
        if before is not None and _birth(before) != _birth(obj):
            self._leave(key, self._groups_of(key, before))  # another object of the same name, whose end was not seen
            del self._ages[key]
        age = self._ages.get(key)
        were = self._groups_of(key, before) if before is not None and age is not None else set()
        if age is None:
            age = self._ages[key] = _age(key, obj)
        self._objects[key] = obj
        groups = self._groups_of(key, obj)
        if were != groups:
            self._leave(key, were - groups)
            for group in groups - were:
                members = self._groups.get(group)
                if members is None:
                    members = self._groups[group] = Ordered()
                members.add(age)
        self._tell(Change(obj, before))

    def remove(self, obj: T) -> None:
        """Take the last state of an object that has gone."""
        before = self._objects.get(obj.key)
        self._deleted.pop(obj.metadata.uid, None)
        # A write may have made another one of that name since.
        is_later = obj.key in self._written and before is not None and before.metadata.uid != obj.metadata.uid
        if before is not None and not is_later:
            self._drop(before)

    def _drop(self, before: T) -> None:
        key = before.key
        self._written.discard(key)
        self._leave(key, self._groups_of(key, before))
        del self._objects[key], self._ages[key]
        self._tell(Change(before, before, gone=True))

    def _leave(self, key: Key, groups: Iterable["_Group"]) -> None:
        for group in groups:
            members = self._groups[group]
            members.discard(self._ages[key])
            if not members:
                del self._groups[group]

    def _members(self, group: "_Group") -> list[T]:
        members = self._groups.get(group)
        return [self._objects[age[2]] for age in members.values()] if members is not None else []

    def _tell(self, change: Change[T]) -> None:
        for listener in tuple(self._listeners):
            listener(change)

    def _groups_of(self, key: Key, obj: T) -> set["_Group"]:
        namespace = key.namespace
        groups: set[_Group] = {("", None, None), ("", namespace, None)}
        for name, value_of in self._values.items():
            value = value_of(obj)
            if value is not None:
                groups.add((name, namespace, value))
        return groups


_Group: TypeAlias = tuple[str, str | None, str | None]
"""Name of an index, namespace and value; without a name all objects of a namespace, or of all namespaces."""


def _birth(obj: Cached) -> tuple[str, datetime]:
    return obj.metadata.uid, obj.metadata.creation_timestamp


def _age(key: Key, obj: Cached) -> Age:
    version = obj.metadata.resource_version
    return obj.metadata.creation_timestamp.timestamp(), int(version) if version.isdecimal() else 0, key


class Watch(Protocol):
    """The part of a reflector that tells whether its collection is current."""

    @property
    def broken_since(self) -> float | None:
        """Time of the event loop since which nothing is seen."""


def _runs() -> Collection[Run]:
    return Collection(
        definition=lambda run: run.spec.definition, phase=lambda run: run.phase, parent=lambda run: run.spec.parent
    )


def _records() -> Collection[Record]:
    return Collection(run=lambda record: record.run_name)


@dataclass
class Cache:
    """Everything that reads are answered from."""

    runs: Collection[Run] = field(default_factory=_runs)
    definitions: Collection[Definition] = field(default_factory=Collection)
    records: Collection[Record] = field(default_factory=_records)
    watches: list[Watch] = field(default_factory=list)

    def collections(self) -> dict[str, Sized]:
        """Return what is held, by kind, for whoever counts."""
        return {"runs": self.runs, "definitions": self.definitions, "records": self.records}

    def stale_seconds(self) -> float:
        """Return for how long the cache may have missed what happened; 0 while all watches are open."""
        broken = [watch.broken_since for watch in self.watches if watch.broken_since is not None]
        return max(0.0, asyncio.get_running_loop().time() - min(broken)) if broken else 0.0

    @property
    def is_stale(self) -> bool:
        """Whether a watch is broken now."""
        return any(watch.broken_since is not None for watch in self.watches)
