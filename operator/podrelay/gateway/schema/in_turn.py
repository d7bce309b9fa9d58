"""Runs the mutations of a document one after the other, each within the time of the operation."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from podrelay.gateway.call import Call
from podrelay.gateway.errors import UnavailableError
from podrelay.gateway.schema.envelope import Error, envelope

T = TypeVar("T")


async def in_turn(call: Call, work: Callable[[], Awaitable[T]]) -> tuple[T | None, Error | None]:
    """Run a mutation after those that precede it in the document, within the time of the operation."""

    async def in_time() -> T:
        try:
            async with asyncio.timeout_at(call.ends_at):
                return await work()
        except TimeoutError as error:
            seconds = call.services.limits.seconds
            raise UnavailableError(f"This took longer than {seconds:g} s, and may still happen: check.") from error

    async with call.mutating:
        return await envelope(in_time())
