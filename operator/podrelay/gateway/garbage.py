"""When Python looks for cyclic garbage among all objects: while no operation is under way, if it can be helped.

A look costs the more the more objects there are, and the event loop waits for it. Between two operations there are few
besides the cache, which is left out (`main`); in the midst of one that returns a thousand tasks a look takes 100 ms.
"""

import asyncio
import contextlib
import gc
from collections.abc import Iterator
from typing import Final

THRESHOLDS: Final = (2_000, 5, 400)
"""How many new objects Python lets come before it looks for cycles among them, after how many such looks it looks at
older ones, and after how many of those at all.

After 700 new ones, its own setting, it would do so many times in each request, and find next to none; after 10,000 a
look at all that thousand refused fields leave behind takes 110 ms. The last figure is for gateways that are never idle.
"""
_IDLE_LOOKS: Final = 20
"""After so many looks at older objects all are looked at, as soon as nothing else is to be done."""
_PAUSE_SECONDS: Final = 0.005
"""After an operation: its answer has to be written first."""


class Garbage:
    """Knows how many operations are under way."""

    def __init__(self) -> None:
        self._under_way = 0

    @contextlib.contextmanager
    def operation(self) -> Iterator[None]:
        """Keep Python from looking at all objects meanwhile, unless it has not for very long."""
        self._under_way += 1
        try:
            yield
        finally:
            self._under_way -= 1
            if self._is_due():
                asyncio.get_running_loop().call_later(_PAUSE_SECONDS, self._look)

    def _is_due(self) -> bool:
        return not self._under_way and gc.get_count()[2] >= _IDLE_LOOKS

    def _look(self) -> None:
        if self._is_due():
            gc.collect()
