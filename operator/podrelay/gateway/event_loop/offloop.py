"""Run work that would block the event loop in one thread, one piece of each caller at a time.

More threads would not be faster, because Python runs one at a time, and the event loop would run less often.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final, TypeVar

from podrelay.gateway.errors import LimitError

T = TypeVar("T")

MAX_WAITING: Final = 50
"""Pieces of work of one caller, including the one in progress."""


@dataclass
class _Line:
    """The work of one caller."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    length: int = 0


class OffLoop:
    """Runs work outside the event loop; a caller with a lot of work delays the others by one piece at most."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "podrelay-offloop")
        self._lines: dict[str, _Line] = {}

    async def run(self, who: str, work: Callable[[], T]) -> T:
        """Return the result of `work`, run when it is this caller's turn. It cannot be interrupted: keep it short.

        Raises:
            LimitError: too much work of the same caller is already waiting.
        """
        line = self._lines.setdefault(who, _Line())
        if line.length >= MAX_WAITING:
            raise LimitError(
                f"{line.length} of your documents or inputs are still being processed: send fewer at once, or use "
                "variables instead of values, so that each document is processed only once."
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
        """Start no further work; the work in progress is not interrupted."""
        self._thread.shutdown(wait=False, cancel_futures=True)
