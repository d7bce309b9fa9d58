"""Checks and limits of every operation, whether it arrives over HTTP or over a WebSocket that has long been open."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from typing import Final

from strawberry.extensions import SchemaExtension
from strawberry.types.graphql import OperationType

from podrelay.gateway.call import Call
from podrelay.gateway.errors import UnavailableError

_AFTER_MUTATIONS: Final = 10.0
"""Seconds for what is read after mutations."""


class Guarded(SchemaExtension):
    """Checks the caller's token again, and gives each operation a budget and a time limit."""

    def on_operation(self) -> Iterator[None]:
        """Give the operation its own budget and deadline."""
        self.execution_context.context = self.execution_context.context.for_operation()
        yield

    async def on_execute(self) -> AsyncIterator[None]:
        """Limit the time of the execution; subscriptions, which are known only now, have no limit."""
        call: Call = self.execution_context.context
        await call.services.access.user(call.caller)
        kind = self.execution_context.operation_type
        # A subscription may be open for hours, and each of its events is answered separately.
        is_short = kind is not OperationType.SUBSCRIPTION
        try:
            with call.services.garbage.operation() if is_short else contextlib.nullcontext():
                async with asyncio.timeout(_seconds(call, kind)):
                    yield
        except TimeoutError as error:
            raise UnavailableError(
                f"This took longer than {call.services.limits.seconds:g} s: ask for less at once."
            ) from error


def _seconds(call: Call, operation: OperationType) -> float | None:
    """Return how many seconds a whole operation may take; None: no limit."""
    if operation is OperationType.SUBSCRIPTION:
        return None
    # Mutations check the time themselves, each for its own answer; the rest is for reading the tasks after that.
    return call.seconds_left() + (_AFTER_MUTATIONS if operation is OperationType.MUTATION else 0)
