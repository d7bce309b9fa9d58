"""The objects that the watches have reported: in memory by kind, in order of creation, with indexes for filters."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence, Sized
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Generic, Protocol, TypeAlias, TypeVar

from podrelay.gateway.objects import Cached, Definition, Record, Run, ScheduleIdentity
from podrelay.gateway.ordered import Ordered
from podrelay.kube.resources import Key

_REMEMBERED_DELETIONS: Final = 10_000
_MOST_GROUPS: Final = 16
"""Values of an index that are looked up; if a filter names more, all objects of the namespace are searched."""


T = TypeVar("T", bound=Cached)


@dataclass(frozen=True, slots=True)
class Change(Generic[T]):
    """A change of one object.

    Attributes:
        obj: its newest known state.
        before: its previous state; None if the object is new.
        gone: whether the object was deleted.
    """

    obj: T
    before: T | None
    gone: bool = False


Listener = Callable[[Change[T]], None]

Age: TypeAlias = tuple[float, int, Key]
"""The position of an object in the order of creation: the second, the version at which it was first seen, and its name.

Objects do not store the order of their creation within a second. A gateway that is already watching first sees each
object at the version of its creation, so all such gateways have the same order. A gateway that starts later first sees
the version of the last change instead, which may give another order. Names decide last.
"""


class Candidates(Generic[T]):
    """Objects to search, in order of creation.

    They are read in parts, and the collection may change in between: each object that remains is returned once.

    Args:
        objects: the objects of the collection.
        groups: sorted groups without common members.
        index: the name of the index that they are from; None: all objects of a namespace, or of all namespaces.
    """

    def __init__(self, objects: Mapping[Key, T], groups: Sequence[Ordered[Age]], index: str | None) -> None:
        self._objects = objects
        self._groups = groups
        self.index = index

    def __len__(self) -> int:
        return sum(len(group) for group in self._groups)

    def part(self, after: Age | None, count: int, *, newest_first: bool) -> list[tuple[Age, T]]:
        """Return the next objects after a position; an empty list after the last one."""
        ages: list[Age] = []
        for group in self._groups:
            ages += group.below(after, count) if newest_first else group.above(after, count)
        if len(self._groups) > 1:
            ages.sort(reverse=newest_first)
        del ages[count:]
        return [(age, self._objects[age[2]]) for age in ages]


class Collection(Generic[T]):
    """All objects of a kind, as last reported by a reflector. It is the reflector's sink.

    Args:
        indexes: name of an index -> function that returns the value of an object in it. Indexes are by namespace.
    """

    def __init__(self, **indexes: Callable[[T], str | None]) -> None:
        self._objects: dict[Key, T] = {}
        self._ages: dict[Key, Age] = {}
        self._values = indexes
        self._groups: defaultdict[_Group, Ordered[Age]] = defaultdict(Ordered)
        self._listeners: set[Listener[T]] = set()
        self._written: set[Key] = set()
        """Objects stored from the answer to a write, whose older events may still arrive."""
        self._deleted: dict[str, None] = {}
        """UIDs of objects deleted by this gateway, whose events may still arrive."""

    def __len__(self) -> int:
        return len(self._objects)

    def get(self, key: Key) -> T | None:
        """Return an object, or None if it is not known."""
        return self._objects.get(key)

    def age(self, key: Key) -> Age | None:
        """Return the position of an object in the order of creation, or None if it is not known."""
        return self._ages.get(key)

    def all(self, namespace: str | None) -> list[T]:
        """Return the objects of one namespace, or of all namespaces, oldest first."""
        return self._members(("", namespace, None))

    def indexed(self, name: str, namespace: str, value: str) -> list[T]:
        """Return the objects of a namespace that have a value in an index, oldest first."""
        return self._members((name, namespace, value))

    def count(self, name: str, namespace: str, value: str) -> int:
        """Return how many objects of a namespace have a value in an index."""
        members = self._groups.get((name, namespace, value))
        return len(members) if members is not None else 0

    def oldest(self, name: str, namespace: str, value: str) -> T | None:
        """Return the oldest object of a namespace that has a value in an index; None if there is none."""
        members = self._groups.get((name, namespace, value))
        first = members.above(None, 1) if members is not None else []
        return self._objects[first[0][2]] if first else None

    def candidates(self, namespace: str | None, wanted: Mapping[str, Iterable[str]]) -> Candidates[T]:
        """Return the candidates for a filter: those that have a wanted value in the index with the fewest of them.

        Args:
            namespace: one namespace, or None for all; then all objects are candidates: indexes are by namespace.
            wanted: name of an index -> the wanted values.
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
        """Return the objects that exist among these keys, as candidates."""
        group: Ordered[Age] = Ordered()
        for age in sorted(self._ages[key] for key in {*keys} if key in self._ages):
            group.add(age)
        return Candidates(self._objects, [group], None)

    def listen(self, listener: Listener[T]) -> Callable[[], None]:
        """Call `listener` with every change, from the event loop; return a function that stops it."""
        self._listeners.add(listener)
        return lambda: self._listeners.discard(listener)

    def replace(self, objects: list[T], resource_version: str, namespace: str | None = None) -> None:
        """Replace all objects of one namespace, or of all namespaces; objects that are not listed are removed."""
        del resource_version
        self._written.clear()
        self._deleted.clear()
        listed = {obj.key for obj in objects}
        for gone in [obj for obj in self.all(namespace) if obj.key not in listed]:
            self.remove(gone)
        for obj in objects:
            self.apply(obj)

    def wrote(self, obj: T) -> None:
        """Store an object from the answer to a write or a live read, which may be newer than the next events."""
        known = self._objects.get(obj.key)
        if known is not None and known.metadata.version >= obj.metadata.version:
            return
        self.apply(obj)
        self._written.add(obj.key)

    def deleted(self, key: Key, uid: str) -> None:
        """Remove an object that was deleted; later events of the same object are ignored."""
        self._deleted[uid] = None
        if len(self._deleted) > _REMEMBERED_DELETIONS:
            del self._deleted[next(iter(self._deleted))]
        known = self._objects.get(key)
        if known is not None and known.metadata.uid == uid:
            self._drop(known)

    def apply(self, obj: T) -> None:
        """Store an object that was added or changed, as reported by an event."""
        key = obj.key
        before = self._objects.get(key)
        if obj.metadata.uid in self._deleted:
            return
        if key in self._written and before is not None:
            if obj.metadata.version < before.metadata.version:
                return
            self._written.discard(key)
        # After a restore of the API server's database, versions are reused for other states.
        is_same = before is not None and before.metadata.resource_version == obj.metadata.resource_version
        if is_same and before == obj:
            return
        if before is not None and _birth(before) != _birth(obj):
            self._leave(key, self._groups_of(key, before))  # a new object of the same name; the deletion was missed
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
                self._groups[group].add(age)
        self._notify(Change(obj, before))

    def remove(self, obj: T) -> None:
        """Remove an object, given its last state."""
        before = self._objects.get(obj.key)
        self._deleted.pop(obj.metadata.uid, None)
        # A write may have created a new object of that name since.
        is_later = obj.key in self._written and before is not None and before.metadata.uid != obj.metadata.uid
        if before is not None and not is_later:
            self._drop(before)

    def _drop(self, before: T) -> None:
        key = before.key
        self._written.discard(key)
        self._leave(key, self._groups_of(key, before))
        del self._objects[key], self._ages[key]
        self._notify(Change(before, before, gone=True))

    def _leave(self, key: Key, groups: Iterable["_Group"]) -> None:
        for group in groups:
            members = self._groups[group]
            members.discard(self._ages[key])
            if not members:
                del self._groups[group]

    def _members(self, group: "_Group") -> list[T]:
        members = self._groups.get(group)
        return [self._objects[age[2]] for age in members.values()] if members is not None else []

    def _notify(self, change: Change[T]) -> None:
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
"""Name of an index, namespace and value; without a name: all objects of a namespace, or of all namespaces."""


def _birth(obj: Cached) -> tuple[str, datetime]:
    return obj.metadata.uid, obj.metadata.creation_timestamp


def _age(key: Key, obj: Cached) -> Age:
    version = obj.metadata.resource_version
    return obj.metadata.creation_timestamp.timestamp(), int(version) if version.isdecimal() else 0, key


class Watch(Protocol):
    """The part of a reflector that shows whether its collection is current."""

    @property
    def broken_since(self) -> float | None:
        """Event loop time since which no changes arrive; None while the watch is open."""


def _runs() -> Collection[Run]:
    return Collection(
        definition=lambda run: run.spec.definition,
        phase=lambda run: run.phase,
        parent=lambda run: run.spec.parent,
        family=lambda run: family(run.spec.parent, run.phase) if run.spec.parent else None,
        schedule=schedule_of,
    )


def schedule_of(run: Run) -> str | None:
    """Return the name of the schedule that a run was started by; None if it was not."""
    return run.spec.scheduled.schedule if run.spec.scheduled else None


def family(parent: str, phase: str) -> str:
    """Return the value of the index `family`: the children of a run that are in one phase."""
    return f"{parent}/{phase}"


def _records() -> Collection[Record]:
    return Collection(run=lambda record: record.run_name)


@dataclass
class Cache:
    """All objects that reads are answered from."""

    runs: Collection[Run] = field(default_factory=_runs)
    definitions: Collection[Definition] = field(default_factory=Collection)
    records: Collection[Record] = field(default_factory=_records)
    schedules: Collection[ScheduleIdentity] = field(default_factory=Collection)
    watches: list[Watch] = field(default_factory=list)

    def collections(self) -> dict[str, Sized]:
        """Return the collections by kind, for metrics."""
        return {"runs": self.runs, "definitions": self.definitions, "records": self.records}

    def stale_seconds(self) -> float:
        """Return for how many seconds the cache may have missed changes; 0 while all watches are open."""
        broken = [watch.broken_since for watch in self.watches if watch.broken_since is not None]
        return max(0.0, asyncio.get_running_loop().time() - min(broken)) if broken else 0.0

    @property
    def is_stale(self) -> bool:
        """Whether a watch is currently broken."""
        return any(watch.broken_since is not None for watch in self.watches)
