"""Batches: several operations in one request, as the admin app of Webiny sends them.

Each is answered for itself. Whatever is wrong with one of them is told in its place, and leaves the others alone: what
a mutation before it has done has to be answered.
"""

from collections.abc import Awaitable, Callable

from cross_web import HTTPException
from graphql import GraphQLError
from strawberry.http import GraphQLRequestData
from strawberry.types import ExecutionResult

from podrelay.gateway.call import Call
from podrelay.gateway.errors import GatewayError, UnavailableError, ValidationError
from podrelay.gateway.schema.envelope import masked


async def answer(
    call: Call, operation: GraphQLRequestData, execute: Callable[[GraphQLRequestData], Awaitable[ExecutionResult]]
) -> ExecutionResult:
    """Return what `execute` returns, or what is wrong with this operation of a batch.

    Args:
        call: of the batch.
        operation: one of it, of whatever shape the caller has sent.
        execute: executes one operation.
    """
    try:
        _check(operation)
        if call.seconds_left() <= 0:
            raise UnavailableError(
                f"The batch took longer than {call.services.limits.seconds:g} s before this operation, which was not "
                "begun: send fewer at once."
            )
        await call.services.turns.give()
        return await execute(operation)
    except HTTPException as error:
        return _refused(GraphQLError(error.reason))
    except GatewayError as error:
        return _refused(GraphQLError(error.message, original_error=error))
    except Exception as error:  # noqa: BLE001 - the others are answered all the same
        told = masked(error)
        return _refused(GraphQLError(told.message, original_error=told))


def _check(operation: GraphQLRequestData) -> None:
    """Return if the parts of an operation have the types that they must have.

    Raises:
        ValidationError: they do not.
    """
    if not isinstance(operation.query, str):
        raise ValidationError("Each operation of a batch needs a query, which is a text.", "query")
    if not isinstance(operation.variables, dict | None):
        raise ValidationError("variables must be a JSON object or null.", "variables")
    if not isinstance(operation.operation_name, str | None):
        raise ValidationError("operationName must be a text or null.", "operationName")


def _refused(error: GraphQLError) -> ExecutionResult:
    return ExecutionResult(data=None, errors=[error])
