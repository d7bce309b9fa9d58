"""What holds for every operation, whichever way it comes in: HTTP, or a WebSocket that has been open for long."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from typing import Final

from strawberry.extensions import SchemaExtension
from strawberry.types.graphql import OperationType

from podrelay.gateway.call import Call
from podrelay.gateway.errors import UnavailableError

_AFTER_MUTATIONS: Final = 10.0
"""Seconds."""


class Guarded(SchemaExtension):
    """Lets nobody in whose token is good for nothing any more, and gives each operation a budget and a limited time."""

    def on_operation(self) -> Iterator[None]:
        """Begin an operation."""
        self.execution_context.context = self.execution_context.context.for_operation()
        yield

    async def on_execute(self) -> AsyncIterator[None]:
        """Hold the execution: before it nobody knows whether a document is a subscription, which may take for ever."""
        call: Call = self.execution_context.context
        await call.services.access.user(call.caller)
        kind = self.execution_context.operation_type
        # A subscription is under way for hours, and its events are answered one by one.
        is_short = kind is not OperationType.SUBSCRIPTION
        try:
            with call.services.garbage.operation() if is_short else contextlib.nullcontext():
                async with asyncio.timeout(_seconds(call, kind)):
                    yield
        except TimeoutError as error:
            raise UnavailableError(
                f"This took longer than {call.services.limits.seconds:g} s; ask for less at once."
            ) from error


def _seconds(call: Call, operation: OperationType) -> float | None:
    """Return how long all of an operation may take; None: for ever."""
    if operation is OperationType.SUBSCRIPTION:
        return None
    # Mutations hold the time themselves, each for its own answer; this is for what is read of the tasks after that.
    return call.seconds_left() + (_AFTER_MUTATIONS if operation is OperationType.MUTATION else 0)
