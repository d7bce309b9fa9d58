"""Calls what an author has written, which may be a coroutine function."""

from collections.abc import Callable
from typing import Any


def call(function: Callable[..., Any], *arguments: Any) -> Any:
    """Return what `function` returns; what can be awaited is, in an event loop of its own."""
    result = function(*arguments)
    if hasattr(result, "__await__"):
        import asyncio  # noqa: PLC0415 - 35 ms that a plain function need not pay

        async def wait() -> Any:
            return await result

        return asyncio.run(wait())
    return result
