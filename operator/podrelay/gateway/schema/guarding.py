"""What holds for every operation, whichever way it comes in: HTTP, or a WebSocket that has been open for long."""

import asyncio
from collections.abc import AsyncIterator, Iterator

from strawberry.extensions import SchemaExtension
from strawberry.types.graphql import OperationType

from podrelay.gateway.call import Call
from podrelay.gateway.errors import UnavailableError


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
        is_subscription = self.execution_context.operation_type is OperationType.SUBSCRIPTION
        try:
            async with asyncio.timeout(None if is_subscription else call.seconds_left()):
                yield
        except TimeoutError as error:
            raise UnavailableError(
                f"This took longer than {call.services.limits.seconds:g} s; ask for less at once."
            ) from error
