"""`sort`, `limit` and `after`: a total order, and pages of it that stay right while objects come and go. Pure.

Missing values come last in both directions. The name decides between equals, so that a cursor names one place.
"""

import base64
import binascii
import heapq
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import itemgetter
from typing import Any, Final, Generic, TypeVar

import msgspec

from podrelay.gateway.errors import ValidationError
from podrelay.gateway.fields import Field, Kind

T = TypeVar("T")

DEFAULT_SORT: Final = ("createdOn_DESC",)
MAX_SORTERS: Final = 10
MAX_CURSOR_LENGTH: Final = 8192
"""Characters; names and sort values of a run need a tenth of it."""
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
    """Return the members of the enum of sorters: meta fields as they are, others in the spelling of Webiny 5 and 6."""
    meta = [name for name, field in fields.items() if name == "id" or field.kind is Kind.META_DATE]
    stems = [*meta, *of_values, *(f"{_OF_VALUES}{name}" for name in of_values)]
    return [f"{stem}_{direction}" for stem in stems for direction in ("ASC", "DESC")]


class _Descending:
    """A value that sorts the other way round. One is made for each object of a list, so it does without a dataclass."""

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

    def __ge__(self, other: "_Descending") -> bool:
        return bool(self.value <= other.value)


class Order(Generic[T]):
    """The order that a list of sorters asks for.

    Args:
        fields: all fields by name.
        sorters: such as `createdOn_DESC` or `values_name_ASC`; none: newest first.

    Raises:
        ValidationError: there are too many.
    """

    def __init__(self, fields: Mapping[str, Field[T]], sorters: Sequence[str]) -> None:
        if len(sorters) > MAX_SORTERS:
            raise ValidationError(f"sort has more than {MAX_SORTERS} sorters; name fewer.", "sort")
        self._sorters = [*(sorters or DEFAULT_SORT)]
        self._parts: list[tuple[Field[T], bool]] = []
        for sorter in self._sorters:
            field, _, direction = sorter.removeprefix(_OF_VALUES).rpartition("_")
            self._parts.append((fields[field], direction == "DESC"))
        self._parts += [(fields[name], False) for name in _TIE_BREAKERS]

    def key(self, obj: T) -> tuple[Any, ...]:
        """Return what objects are compared by."""
        return self._key_of([field.read(obj) for field, _ in self._parts])

    def first(self, obj: T) -> tuple[Any, ...]:
        """Return the first part of the key, which decides about most objects and costs a fraction."""
        field, descending = self._parts[0]
        return _part(field.read(obj), descending)

    def cursor(self, obj: T) -> str:
        """Return the cursor of the place right after an object."""
        values = [field.read(obj) for field, _ in self._parts]
        return base64.urlsafe_b64encode(msgspec.json.encode([self._sorters, values])).decode().rstrip("=")

    def key_of(self, cursor: str) -> tuple[Any, ...]:
        """Return the key of the object that a cursor was made from; the object itself may have gone.

        Raises:
            ValidationError: it is no cursor, or one of another order.
        """
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
            return self._key_of(typed)
        except (ValueError, binascii.Error, msgspec.MsgspecError, RecursionError) as error:
            raise ValidationError("This is no cursor of this list.", "after") from error

    def _key_of(self, values: Iterable[Any]) -> tuple[Any, ...]:
        return tuple([_part(value, descending) for value, (_, descending) in zip(values, self._parts, strict=True)])


def _part(value: Any, descending: bool) -> tuple[Any, ...]:
    if value is None:
        return (True,)
    folded = (value.casefold(), value) if isinstance(value, str) else value
    return (False, _Descending(folded)) if descending else (False, folded)


@dataclass(frozen=True)
class Page(Generic[T]):
    """A part of a list.

    Attributes:
        items: what is on it.
        cursor: where the next one begins; None after the last one.
        total: how many there are on all pages.
    """

    items: list[T]
    cursor: str | None
    total: int


class Pager(Generic[T]):
    """Finds a page among objects that it is given a part at a time.

    Args:
        matches: which objects count.
        order: in which they come.
        limit: how many are on the page.
        after: cursor of the page before.

    Raises:
        ValidationError: `after` is no cursor of this order.
    """

    def __init__(self, matches: Callable[[T], bool], order: Order[T], limit: int, after: str | None) -> None:
        self._matches = matches
        self._order = order
        self._limit = limit
        self._start = order.key_of(after) if after else None
        self._first: list[tuple[tuple[Any, ...], T]] = []
        self._total = 0

    def add(self, objects: Iterable[T]) -> None:
        """Look through some objects."""
        found = [obj for obj in objects if self._matches(obj)]
        self._total += len(found)
        if len(self._first) > self._limit:
            last, first = self._first[-1][0][0], self._order.first
            found = [obj for obj in found if first(obj) <= last]
        keyed = [(self._order.key(obj), obj) for obj in found]
        if self._start is not None:
            keyed = [pair for pair in keyed if pair[0] > self._start]
        # One more than fits tells whether there is a next page.
        self._first = heapq.nsmallest(self._limit + 1, self._first + keyed, key=_FIRST)

    def page(self) -> Page[T]:
        """Return the page, once all objects were added."""
        items = [obj for _, obj in self._first[: self._limit]]
        cursor = self._order.cursor(items[-1]) if len(self._first) > self._limit else None
        return Page(items, cursor, self._total)
