"""Bounded buffers between the watch cache and a subscriber: a slow subscriber loses items, without affecting others."""

import asyncio
from collections import deque
from collections.abc import Hashable
from typing import Generic, TypeVar

T = TypeVar("T")


class Closed(Exception):  # noqa: N818 - not an error, but the end of the items
    """A buffer is closed, and everything in it has been read."""


class NewestByKey(Generic[T]):
    """Holds the newest item for each key; an older item of the key that has not been read yet is replaced.

    Args:
        limit: how many keys are kept; beyond it the oldest one is dropped.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._items: dict[Hashable, T] = {}
        self._dropped = 0
        self._filled = asyncio.Event()

    def put(self, key: Hashable, item: T) -> None:
        """Add an item, at the end unless its key is already waiting."""
        self._items[key] = item
        if len(self._items) > self._limit:
            del self._items[next(iter(self._items))]
            self._dropped += 1
        self._filled.set()

    async def get(self) -> tuple[T, int]:
        """Wait for the next item; return it and how many were dropped before it."""
        await self._filled.wait()
        item = self._items.pop(next(iter(self._items)))
        if not self._items:
            self._filled.clear()
        dropped, self._dropped = self._dropped, 0
        return item, dropped


class Newest(Generic[T]):
    """Holds items in order; beyond `limit` the oldest are dropped and counted.

    Args:
        limit: how many items are kept.
    """

    def __init__(self, limit: int) -> None:
        self._items: deque[T] = deque()
        self._limit = limit
        self._dropped = 0
        self._closed: BaseException | None = None
        self._filled = asyncio.Event()
        self._emptied = asyncio.Event()

    @property
    def is_full(self) -> bool:
        """Whether the next item that is added drops the oldest one."""
        return len(self._items) >= self._limit

    async def room(self) -> None:
        """Wait until an item can be added without dropping one; for items that can wait where they are."""
        while self.is_full:
            self._emptied.clear()
            await self._emptied.wait()

    def put(self, item: T) -> None:
        """Add an item."""
        self._items.append(item)
        if len(self._items) > self._limit:
            self._items.popleft()
            self._dropped += 1
        self._filled.set()

    def close(self, error: BaseException | None = None) -> None:
        """Make get() raise Closed, or `error`, once all items have been read."""
        if self._closed is None:
            self._closed = error or Closed()
            self._filled.set()

    async def get(self) -> tuple[T | None, int]:
        """Wait for the next item; return it, or None and how many were dropped at this place.

        Raises:
            Closed: the buffer is closed and empty.
        """
        await self._filled.wait()
        if self._dropped:
            dropped, self._dropped = self._dropped, 0
            return None, dropped
        if not self._items and self._closed is not None:
            raise self._closed
        item = self._items.popleft()
        self._emptied.set()
        if not self._items and self._closed is None:
            self._filled.clear()
        return item, 0
