"""Schedule full garbage collections for when no operation is running, if possible.

A collection takes longer the more objects there are, and blocks the event loop. Between two operations there are few
objects except the cache, which is excluded (`main`); during an operation that returns a thousand tasks, a collection
takes 100 ms.
"""

import asyncio
import contextlib
import gc
from collections.abc import Iterator
from typing import Final

THRESHOLDS: Final = (2_000, 5, 400)
"""The thresholds of Python's three generations, see gc.set_threshold.

With Python's own first threshold, 700 new objects, each request would cause many collections that find next to nothing;
with 10,000, a collection of what a thousand refused fields leave behind takes 110 ms. The third threshold is for
gateways that are never idle.
"""
_IDLE_COLLECTIONS: Final = 4
"""After this many collections of the second generation, a full collection is due when the gateway is idle.

With 20, there were up to 90,000 objects to visit, which takes 160 ms.
"""


class Garbage:
    """Counts the running operations, and starts full garbage collections between them."""

    def __init__(self) -> None:
        self._under_way = 0

    @contextlib.contextmanager
    def operation(self) -> Iterator[None]:
        """Postpone full collections until the end of an operation, unless the last one was very long ago."""
        self._under_way += 1
        try:
            yield
        finally:
            self._under_way -= 1
            if self._is_due():
                # After the answer was sent, and before the next request is received: if the client sends one as soon as
                # it has its answer, there is no other pause.
                asyncio.get_running_loop().call_soon(self._collect)

    def _is_due(self) -> bool:
        return not self._under_way and gc.get_count()[2] >= _IDLE_COLLECTIONS

    def _collect(self) -> None:
        if self._is_due():
            gc.collect()
