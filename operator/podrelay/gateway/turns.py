"""Turns on the event loop: long work does a little in each round of it, whoever asked for it and for how much of it.

A pause alone would not do: thirty lists of one document, each with a pause after 2 ms, hold every round for 60 ms.
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any, Final, Generic, TypeVar, cast

S = TypeVar("S")
T = TypeVar("T")

SLICE_SECONDS: Final = 0.004
"""So much long work is done in a round."""


class Turns:
    """Shares the event loop between all that have much to do on it."""

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._since = 0.0
        self._is_called = False

    async def give(self) -> None:
        """Let others have their turn if there was enough work in this round; call it wherever a loop can wait."""
        if not self._waiting and self._clock() - self._since < SLICE_SECONDS:
            return
        loop = asyncio.get_running_loop()
        turn = loop.create_future()
        self._waiting.append(turn)
        if not self._is_called:
            self._is_called = True
            loop.call_soon(self._next, loop)
        await turn

    def _next(self, loop: asyncio.AbstractEventLoop) -> None:
        """Let the first that waits go on in the next round of the loop, and come again after it."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():  # else its request has ended
                self._since = self._clock()
                turn.set_result(None)
                loop.call_soon(self._next, loop)
                return
        self._is_called = False


def paced(turns: Turns, items: Iterable[S], make: Callable[[S], T]) -> list[T]:
    """Return a list for GraphQL that is made an item at a time; strawberry takes it for a plain one."""
    return cast("list[T]", Paced(turns, items, make))


class Paced(Generic[T]):
    """A list for GraphQL of which each item is made, and shown with all its fields, in its turn.

    graphql-core completes a plain list in one go: a thousand tasks hold the event loop for a fifth of a second.

    Args:
        turns: whose turns.
        items: what the list is made from.
        make: makes an item of the list.
    """

    def __init__(self, turns: Turns, items: Iterable[Any], make: Callable[[Any], T]) -> None:
        self._turns = turns
        self._items = items
        self._make = make

    async def __aiter__(self) -> AsyncIterator[T]:
        """Begin anew: a document may name the same list several times."""
        for item in self._items:
            await self._turns.give()
            yield self._make(item)
