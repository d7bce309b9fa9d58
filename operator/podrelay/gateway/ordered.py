"""Values that stay in order while some come and go. Pure."""

from bisect import bisect_left, bisect_right, insort
from typing import Any, Generic, TypeVar

V = TypeVar("V", bound=Any)

_FEW = 32
"""So many are put into their places one by one; to sort costs less for more, as most of it is in order already."""


class Ordered(Generic[V]):
    """A sorted list; what comes in order costs next to nothing, as do thousands that come at once."""

    __slots__ = ("_late", "_values")

    def __init__(self) -> None:
        self._values: list[V] = []
        self._late: list[V] = []
        """Not in their places yet."""

    def __len__(self) -> int:
        return len(self._values) + len(self._late)

    def add(self, value: V) -> None:
        """Take a value; the same one may be there already."""
        if self._late or (self._values and value < self._values[-1]):
            self._late.append(value)
        else:
            self._values.append(value)

    def discard(self, value: V) -> None:
        """Take a value away, once, if it is there."""
        values = self.values()
        place = bisect_left(values, value)
        if place < len(values) and values[place] == value:
            del values[place]

    def values(self) -> list[V]:
        """Return all of them, the smallest one first; the list is ours and changes with the next one."""
        if len(self._late) > _FEW:
            self._values += self._late
            self._values.sort()
            self._late.clear()
        for value in self._late:
            insort(self._values, value)
        self._late.clear()
        return self._values

    def above(self, value: V | None, count: int) -> list[V]:
        """Return the smallest that are greater than a value, or the smallest of all, in order."""
        values = self.values()
        first = 0 if value is None else bisect_right(values, value)
        return values[first : first + count]

    def below(self, value: V | None, count: int) -> list[V]:
        """Return the greatest that are smaller than a value, or the greatest of all, the greatest first."""
        values = self.values()
        end = len(values) if value is None else bisect_left(values, value)
        return values[max(0, end - count) : end][::-1]
