"""Values that are kept for a limited time, in a limited number."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

import msgspec

V = TypeVar("V")


class _Entry(msgspec.Struct, Generic[V], frozen=True, gc=False):
    """A value, and since when it has been kept. Not visited by the garbage collector: there may be thousands."""

    value: V
    at: float


class Kept(Generic[V]):
    """A mapping that forgets its oldest values.

    Args:
        seconds: how long a value is kept.
        most: how many values are kept.
        clock: monotonic time in seconds.
    """

    def __init__(self, seconds: float, most: int, clock: Callable[[], float]) -> None:
        self._seconds, self._most, self._clock = seconds, most, clock
        self._entries: OrderedDict[Hashable, _Entry[V]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: Hashable, seconds: float | None = None) -> V | None:
        """Return the value of a key if it was put there less than `seconds` ago, by default the whole time."""
        entry = self._entries.get(key)
        longest = self._seconds if seconds is None else seconds
        return entry.value if entry is not None and self._clock() - entry.at < longest else None

    def put(self, key: Hashable, value: V) -> None:
        """Keep a value from now on, and forget those whose time is over."""
        self._entries.pop(key, None)
        self._entries[key] = _Entry(value, self._clock())
        while len(self._entries) > self._most or self._clock() - next(iter(self._entries.values())).at >= self._seconds:
            self._entries.popitem(last=False)

    def drop(self, key: Hashable) -> None:
        """Forget a value, if there is one."""
        self._entries.pop(key, None)
