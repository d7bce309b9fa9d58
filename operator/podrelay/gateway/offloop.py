"""Work that would hold the event loop, in one thread, of each caller one piece at a time.

More threads would be no faster, as Python runs one at a time, and the event loop would get its turn less often.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final, TypeVar

from podrelay.gateway.errors import LimitError

T = TypeVar("T")

MAX_WAITING: Final = 50
"""Pieces of work of one caller, the one that is done included."""


@dataclass
class _Line:
    """The work of one caller."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    length: int = 0


class OffLoop:
    """Does work beside the event loop; a caller with much of it keeps the others waiting for one piece only."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "podrelay-offloop")
        self._lines: dict[str, _Line] = {}

    async def run(self, who: str, work: Callable[[], T]) -> T:
        """Return what `work` returns, once it is this caller's turn. Its time has to be bounded: nothing ends it.

        Raises:
            LimitError: too much of the same caller waits already.
        """
        line = self._lines.setdefault(who, _Line())
        if line.length >= MAX_WAITING:
            raise LimitError(
                f"{line.length} documents or inputs of yours are still being looked at: send fewer at once, or "
                "documents with variables in place of values, which are looked at once only."
            )
        line.length += 1
        try:
            async with line.lock:
                return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        finally:
            line.length -= 1
            if not line.length:
                del self._lines[who]

    def close(self) -> None:
        """Begin nothing more; what is being done is left to end by itself."""
        self._thread.shutdown(wait=False, cancel_futures=True)
