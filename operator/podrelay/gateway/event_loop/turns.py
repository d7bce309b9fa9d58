"""Share the event loop: all long work together takes only a few milliseconds of each iteration of the loop.

Pauses in each piece of work are not sufficient: thirty lists of one document, each with a pause after 2 ms, block the
event loop for 60 ms.
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any, Final, Generic, TypeVar, cast

S = TypeVar("S")
T = TypeVar("T")

SLICE_SECONDS: Final = 0.004
"""How much long work is done in one iteration of the event loop."""
_AT_ONCE: Final = 50
"""How much waiting work is resumed in one iteration: what does not fit into the slice waits for the next one."""

Turn = asyncio.Future[bool]
"""Its result says whether it is the first turn of its iteration of the event loop."""


class Turns:
    """Shares the event loop between all long work."""

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._waiting: deque[Turn] = deque()
        self._late: deque[Turn] = deque()
        self._since = 0.0
        self._is_called = False

    async def give(self) -> None:
        """Wait for the next turn if this one has taken long enough. Call it wherever long work can pause."""
        if not self._waiting and not self._late and not self._is_over():
            return
        if await self._turn(self._waiting):
            return
        # Another turn of this iteration may have taken all of its time.
        while self._is_over():
            if await self._turn(self._late):
                return

    async def _turn(self, queue: deque[Turn]) -> bool:
        loop = asyncio.get_running_loop()
        turn: Turn = loop.create_future()
        queue.append(turn)
        if not self._is_called:
            self._is_called = True
            loop.call_soon(self._next, loop)
        is_first = await turn
        if is_first:
            self._since = self._clock()  # now, because the loop may have done other things before
        return is_first

    def _is_over(self) -> bool:
        return self._clock() - self._since >= SLICE_SECONDS

    def _next(self, loop: asyncio.AbstractEventLoop) -> None:
        """Resume waiting work in the next iteration of the event loop; that which was late before comes first."""
        count = 0
        while count < _AT_ONCE and (queue := self._late or self._waiting):
            turn = queue.popleft()
            if not turn.done():  # otherwise its request was cancelled
                turn.set_result(not count)
                count += 1
        if count:
            loop.call_soon(self._next, loop)
        else:
            self._is_called = False


def paced(turns: Turns, items: Iterable[S], make: Callable[[S], T]) -> list[T]:
    """Return a list for GraphQL whose items are created one at a time; strawberry treats it as a plain list."""
    return cast("list[T]", Paced(turns, items, make))


class Paced(Generic[T]):
    """A list for GraphQL whose items are created, and completed with all their fields, one turn each.

    graphql-core completes a plain list without a pause: a thousand tasks block the event loop for a fifth of a second.

    Args:
        turns: the turns to wait for.
        items: the objects that the list is created from.
        make: creates an item of the list.
    """

    def __init__(self, turns: Turns, items: Iterable[Any], make: Callable[[Any], T]) -> None:
        self._turns = turns
        self._items = items
        self._make = make

    async def __aiter__(self) -> AsyncIterator[T]:
        """Iterate from the start: a document may contain the same list several times."""
        for item in self._items:
            await self._turns.give()
            yield self._make(item)
