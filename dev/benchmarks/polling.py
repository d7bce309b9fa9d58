"""Waiting for conditions that can only be polled."""

import asyncio
from collections.abc import Awaitable, Callable

from dev.benchmarks.errors import BenchmarkError


async def until(what: str, check: Callable[[], Awaitable[bool]], seconds: float = 60.0, every: float = 0.1) -> None:
    """Call `check` repeatedly until it returns true.

    Raises:
        BenchmarkError: it was false for too long.
    """
    try:
        async with asyncio.timeout(seconds):
            while not await check():  # noqa: ASYNC110 - no event is there
                await asyncio.sleep(every)
    except TimeoutError:
        raise BenchmarkError(f"after {seconds:g} s still not: {what}") from None
