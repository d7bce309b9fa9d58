"""What the watches have seen: each kind in memory, indexed for the usual filters, with listeners told of changes."""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping, Sized
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from podrelay.gateway.objects import Definition, Key, Metadata, Record, Run


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


class Collection(Generic[T]):
    """All objects of a kind, as a reflector saw them last. It is the reflector's sink.

    Args:
        indexes: name of an index -> the value that an object has in it. Looked up together with the namespace.
    """

    def __init__(self, **indexes: Callable[[T], str | None]) -> None:
        self._objects: dict[Key, T] = {}
        self._namespaces: dict[str, dict[Key, T]] = {}
        self._values = indexes
        self._indexes: dict[str, dict[tuple[str, str], dict[Key, T]]] = {name: {} for name in indexes}
        self._listeners: set[Listener[T]] = set()

    def __len__(self) -> int:
        return len(self._objects)

    def get(self, key: Key) -> T | None:
        """Return an object, if it has been seen."""
        return self._objects.get(key)

    def all(self, namespace: str | None) -> Iterable[T]:
        """Return the objects of one namespace, or of all."""
        return self._within(namespace).values()

    def select(self, namespace: str | None, wanted: Mapping[str, Iterable[str]]) -> Iterable[T]:
        """Return the candidates for a filter: all that may have one of the wanted values in each index, or more.

        Args:
            namespace: one, or None for all; indexes are kept by namespace, so that all of them are walked through.
            wanted: name of an index -> the values that will do.
        """
        if namespace is None or not wanted:
            return self.all(namespace)
        sizes = {
            name: sum(len(self._indexes[name].get((namespace, value), ())) for value in values)
            for name, values in wanted.items()
        }
        name = min(sizes, key=lambda name: sizes[name])
        return self._having(name, namespace, wanted[name])

    def indexed(self, name: str, namespace: str, value: str) -> Iterable[T]:
        """Return the objects that have one value in one index."""
        return self._indexes[name].get((namespace, value), {}).values()

    def listen(self, listener: Listener[T]) -> Callable[[], None]:
        """Call `listener` with every change, from the event loop; return what ends that."""
        self._listeners.add(listener)
        return lambda: self._listeners.discard(listener)

    def replace(self, objects: list[T], resource_version: str, namespace: str | None = None) -> None:
        """Take all objects of one namespace, or of all; what is not among them has gone."""
        del resource_version
        listed = {obj.key for obj in objects}
        for gone in [key for key in self._within(namespace) if key not in listed]:
            self.remove(self._objects[gone])
        for obj in objects:
            self.apply(obj)

    def apply(self, obj: T) -> None:
        """Take one object that was added or changed."""
        before = self._objects.get(obj.key)
        # After a restore of the API server's database versions are used again, for other states.
        is_same = before is not None and before.metadata.resource_version == obj.metadata.resource_version
        if is_same and before == obj:
            return
        if before is not None:
            self._forget(before)
        self._objects[obj.key] = obj
        self._namespaces.setdefault(obj.key.namespace, {})[obj.key] = obj
        for name, place in self._places(obj):
            self._indexes[name].setdefault(place, {})[obj.key] = obj
        self._tell(Change(obj, before))

    def remove(self, obj: T) -> None:
        """Take the last state of an object that has gone."""
        before = self._objects.get(obj.key)
        if before is not None:
            self._forget(before)
            self._tell(Change(before, before, gone=True))

    def _forget(self, obj: T) -> None:
        del self._objects[obj.key]
        _drop(self._namespaces, obj.key.namespace, obj.key)
        for name, place in self._places(obj):
            _drop(self._indexes[name], place, obj.key)

    def _tell(self, change: Change[T]) -> None:
        for listener in tuple(self._listeners):
            listener(change)

    def _places(self, obj: T) -> Iterator[tuple[str, tuple[str, str]]]:
        for name, value_of in self._values.items():
            value = value_of(obj)
            if value is not None:
                yield name, (obj.key.namespace, value)

    def _within(self, namespace: str | None) -> Mapping[Key, T]:
        return self._objects if namespace is None else self._namespaces.get(namespace, {})

    def _having(self, name: str, namespace: str, values: Iterable[str]) -> Iterator[T]:
        for value in dict.fromkeys(values):
            yield from self.indexed(name, namespace, value)


def _drop(groups: dict[Any, dict[Key, T]], group: Any, key: Key) -> None:
    members = groups[group]
    del members[key]
    if not members:
        del groups[group]


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
