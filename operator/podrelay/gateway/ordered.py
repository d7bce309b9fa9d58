"""A list that stays sorted while values are added and removed. Pure."""

from bisect import bisect_left, bisect_right, insort
from typing import Any, Generic, TypeVar

V = TypeVar("V", bound=Any)

_FEW = 32
"""Up to this many values are inserted one by one; for more, sorting costs less, because most are already in order."""


class Ordered(Generic[V]):
    """A sorted list; adding values in order costs next to nothing, as does adding thousands at once."""

    __slots__ = ("_late", "_values")

    def __init__(self) -> None:
        self._values: list[V] = []
        self._late: list[V] = []
        """Values that are not sorted yet."""

    def __len__(self) -> int:
        return len(self._values) + len(self._late)

    def add(self, value: V) -> None:
        """Add a value; duplicates are kept."""
        if self._late or (self._values and value < self._values[-1]):
            self._late.append(value)
        else:
            self._values.append(value)

    def discard(self, value: V) -> None:
        """Remove one occurrence of a value, if there is one."""
        values = self.values()
        place = bisect_left(values, value)
        if place < len(values) and values[place] == value:
            del values[place]

    def values(self) -> list[V]:
        """Return all values, smallest first; the list is not a copy and changes with the next call."""
        if len(self._late) > _FEW:
            self._values += self._late
            self._values.sort()
            self._late.clear()
        for value in self._late:
            insort(self._values, value)
        self._late.clear()
        return self._values

    def above(self, value: V | None, count: int) -> list[V]:
        """Return up to `count` values greater than `value` (None: of all), smallest first."""
        values = self.values()
        first = 0 if value is None else bisect_right(values, value)
        return values[first : first + count]

    def below(self, value: V | None, count: int) -> list[V]:
        """Return up to `count` values smaller than `value` (None: of all), greatest first."""
        values = self.values()
        end = len(values) if value is None else bisect_left(values, value)
        return values[max(0, end - count) : end][::-1]
