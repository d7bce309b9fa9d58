"""`sort`, `limit` and `after`: a total order, and pages that stay correct while objects are created and deleted. Pure.

Missing values come last in both directions. Objects created in the same second are in the order of their creation, and
other equal objects are sorted by name, so that a cursor is unambiguous.
"""

import base64
import binascii
import heapq
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from operator import itemgetter
from typing import Any, Final, Generic, TypeVar

import msgspec

from podrelay.gateway.cache import Age
from podrelay.gateway.errors import ValidationError
from podrelay.gateway.objects import Cached
from podrelay.gateway.query.fields import CREATED, Field, Kind
from podrelay.kube.resources import Key

T = TypeVar("T", bound=Cached)

DEFAULT_SORT: Final = ("createdOn_DESC",)
MAX_SORTERS: Final = 10
MAX_CURSOR_LENGTH: Final = 8192
"""Characters; a cursor with the names and sort values of a run needs a tenth of them."""
_TIE_BREAKERS: Final = ("namespace", "id")
_OF_VALUES: Final = "values_"
_FIRST: Final = itemgetter(0)
_TYPES: Final[Mapping[Kind, type]] = {
    Kind.ID: str,
    Kind.WORD: str,
    Kind.TEXT: str,
    Kind.NUMBER: int,
    Kind.META_DATE: datetime,
    Kind.DATE: datetime,
}


def sorter_names(fields: Mapping[str, Field[Any]], of_values: Sequence[str]) -> list[str]:
    """Return the members of the enum of sorters: meta fields under their name, others as in Webiny 5 and as in 6."""
    meta = [name for name, field in fields.items() if name == "id" or field.kind is Kind.META_DATE]
    stems = [*meta, *of_values, *(f"{_OF_VALUES}{name}" for name in of_values)]
    return [f"{stem}_{direction}" for stem in stems for direction in ("ASC", "DESC")]


class _Descending:
    """A value that sorts in reverse. One is created for each object of a list, so it avoids the cost of a dataclass."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Descending) and bool(self.value == other.value)

    def __hash__(self) -> int:
        return hash(self.value)

    def __lt__(self, other: "_Descending") -> bool:
        return bool(self.value > other.value)

    def __le__(self, other: "_Descending") -> bool:
        return bool(self.value >= other.value)

    def __gt__(self, other: "_Descending") -> bool:
        return bool(self.value < other.value)


class Order(Generic[T]):
    """The order that a list of sorters describes.

    Attributes:
        newest_first: whether the newest object comes first, if the order is only that of creation; otherwise None.

    Args:
        fields: all fields by name.
        sorters: such as `createdOn_DESC` or `values_name_ASC`; if empty: newest first.
        age: returns the position of an object in the order of creation, or None if it does not exist.

    Raises:
        ValidationError: there are too many.
    """

    def __init__(
        self, fields: Mapping[str, Field[T]], sorters: Sequence[str], age: Callable[[Key], Age | None]
    ) -> None:
        if len(sorters) > MAX_SORTERS:
            raise ValidationError(f"sort has more than {MAX_SORTERS} sorters; use fewer.", "sort")
        self._sorters = [*(sorters or DEFAULT_SORT)]
        self._age = age
        named = [sorter.removeprefix(_OF_VALUES).rpartition("_") for sorter in self._sorters]
        self._parts: list[tuple[Field[T], bool]] = [(fields[name], way == "DESC") for name, _, way in named]
        by_creation = [way == "DESC" for name, _, way in named if name in CREATED]
        descending = bool(by_creation) and by_creation[-1]
        if by_creation:
            self._parts.append((Field(Kind.NUMBER, partial(_seen, age)), descending))
        self._parts += [(fields[name], descending) for name in _TIE_BREAKERS]
        self.newest_first = descending if by_creation and len(named) == 1 else None

    def key(self, obj: T) -> tuple[Any, ...]:
        """Return the key by which objects are compared."""
        return self._key_of([field.read(obj) for field, _ in self._parts])

    def first(self, obj: T) -> tuple[Any, ...]:
        """Return the first part of the key, which is sufficient for most comparisons and much cheaper."""
        field, descending = self._parts[0]
        return _part(field.read(obj), descending)

    def cursor(self, obj: T) -> str:
        """Return the cursor of the position right after an object."""
        values = [field.read(obj) for field, _ in self._parts]
        return base64.urlsafe_b64encode(msgspec.json.encode([self._sorters, values])).decode().rstrip("=")

    def key_of(self, cursor: str) -> tuple[Any, ...]:
        """Return the key of the object that a cursor was created from; the object may no longer exist.

        Raises:
            ValidationError: it is not a cursor, or belongs to another order.
        """
        return self._key_of(self._read(cursor))

    def age_of(self, cursor: str) -> Age:
        """Return the position of a cursor, if the order is that of creation.

        Raises:
            ValidationError: it is not a cursor, or belongs to another order.
        """
        created, seen, namespace, name = self._read(cursor)
        return created.timestamp(), seen, Key(namespace, name)

    def _read(self, cursor: str) -> list[Any]:
        try:
            if len(cursor) > MAX_CURSOR_LENGTH:
                raise ValueError("too long")
            data = base64.urlsafe_b64decode(cursor.encode() + b"=" * (-len(cursor) % 4))
            sorters, values = msgspec.json.decode(data, type=tuple[list[str], list[Any]])
            if sorters != self._sorters:
                raise ValidationError("The cursor belongs to a list with another sort.", "after")
            typed = [
                msgspec.convert(value, _TYPES[field.kind] | None)
                for (field, _), value in zip(self._parts, values, strict=True)
            ]
            if any(value is None for value in typed[len(self._sorters) :]):
                raise ValueError("namespace and name are required")
        except (ValueError, binascii.Error, msgspec.MsgspecError, RecursionError) as error:
            raise ValidationError("This is not a cursor of this list: use meta.cursor of a page.", "after") from error
        if len(typed) > len(self._sorters) + len(_TIE_BREAKERS):
            # Another gateway, or this one before a restart, may have first seen the object at another version.
            age = self._age(Key(*typed[-2:]))
            typed[-3] = age[1] if age is not None else typed[-3]
        return typed

    def _key_of(self, values: Iterable[Any]) -> tuple[Any, ...]:
        return tuple([_part(value, descending) for value, (_, descending) in zip(values, self._parts, strict=True)])


def _seen(age: Callable[[Key], Age | None], obj: Cached) -> int:
    """Return the version at which an object was first seen. As a method of Order it would form a reference cycle."""
    found = age(obj.key)
    return found[1] if found is not None else 0


def _part(value: Any, descending: bool) -> tuple[Any, ...]:
    if value is None:
        return (True,)
    folded = (value.casefold(), value) if isinstance(value, str) else value
    return (False, _Descending(folded)) if descending else (False, folded)


@dataclass(frozen=True)
class Page(Generic[T]):
    """A part of a list.

    Attributes:
        items: the objects on it.
        cursor: where the next page begins; None if this is the last one.
        total: returns the number of objects on all pages; it may have to count them.
    """

    items: list[T]
    cursor: str | None
    total: Callable[[], Coroutine[Any, Any, int]]


class Pager(Generic[T]):
    """Finds a page among objects that are added in parts.

    Args:
        matches: whether an object belongs to the list.
        order: the order of the list.
        limit: the size of the page.
        after: the cursor of the previous page.

    Raises:
        ValidationError: `after` is not a cursor of this order.
    """

    def __init__(self, matches: Callable[[T], bool], order: Order[T], limit: int, after: str | None) -> None:
        self._matches = matches
        self._order = order
        self._limit = limit
        self._start = order.key_of(after) if after else None
        self._first: list[tuple[tuple[Any, ...], T]] = []
        self._total = 0

    def add(self, objects: Iterable[T]) -> None:
        """Add objects to the search."""
        found = [obj for obj in objects if self._matches(obj)]
        self._total += len(found)
        if len(self._first) > self._limit:
            last, first = self._first[-1][0][0], self._order.first
            found = [obj for obj in found if first(obj) <= last]
        keyed = [(self._order.key(obj), obj) for obj in found]
        if self._start is not None:
            keyed = [pair for pair in keyed if pair[0] > self._start]
        # One more than the page holds shows whether there is a next page.
        self._first = heapq.nsmallest(self._limit + 1, self._first + keyed, key=_FIRST)

    def page(self) -> Page[T]:
        """Return the page, after all objects have been added."""
        items = [obj for _, obj in self._first[: self._limit]]
        cursor = self._order.cursor(items[-1]) if len(self._first) > self._limit else None
        return Page(items, cursor, self._count)

    async def _count(self) -> int:
        return self._total
