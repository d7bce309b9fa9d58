"""Batches: several operations in one request, as the admin app of Webiny sends them.

Each operation has its own answer. An error in one of them is reported in its place and does not affect the others,
because the results of earlier mutations must still be returned. Each answer is encoded before the next operation
starts: ten lists of a thousand tasks are 168,000 objects, and a garbage collection of those takes a fifth of a second.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from cross_web import HTTPException
from graphql import GraphQLError
from strawberry.http import GraphQLRequestData, process_result
from strawberry.types import ExecutionResult

from podrelay.gateway.call import Call
from podrelay.gateway.errors import GatewayError, UnavailableError, ValidationError, masked
from podrelay.gateway.http import bodies


@dataclass
class EncodedResult(ExecutionResult):
    """The result of an operation without its objects.

    Attributes:
        encoded: the answer in JSON, in pieces.
    """

    encoded: list[bytes] = field(default_factory=list)


async def answer(
    call: Call, operation: GraphQLRequestData, execute: Callable[[GraphQLRequestData], Awaitable[ExecutionResult]]
) -> EncodedResult:
    """Return the encoded result of `execute`, or the error of this operation of a batch.

    Args:
        call: the call of the whole batch.
        operation: one operation, not checked yet.
        execute: executes one operation.
    """
    result = await _result(call, operation, execute)
    encoded = await bodies.encode_in_turns(process_result(result), call.services.turns.give)
    if call.batch is not None:
        call.batch.answer_bytes -= sum(map(len, encoded))
    return EncodedResult(data=None, errors=None, encoded=encoded)


def joined(answers: list[bytes] | list[list[bytes]]) -> list[bytes]:
    """Return the pieces of a whole body: those of one answer, or of the answers to a batch."""
    pieces: list[bytes] = []
    for answer in answers:
        if isinstance(answer, bytes):
            pieces.append(answer)
        else:
            pieces += [b"," if pieces else b"[", *answer]
    return pieces if isinstance(answers[0], bytes) else [*pieces, b"]"]


async def _result(
    call: Call, operation: GraphQLRequestData, execute: Callable[[GraphQLRequestData], Awaitable[ExecutionResult]]
) -> ExecutionResult:
    try:
        _check(operation)
        if call.seconds_left() <= 0:
            raise UnavailableError(
                f"This operation was not started, because those before it took longer than "
                f"{call.services.limits.seconds:g} s: send fewer at once."
            )
        await call.services.turns.give()
        return await execute(operation)
    except HTTPException as error:
        return _refused(GraphQLError(error.reason))
    except GatewayError as error:
        return _refused(GraphQLError(error.message, original_error=error))
    except Exception as error:  # noqa: BLE001 - the other operations are still answered
        internal = masked(error)
        return _refused(GraphQLError(internal.message, original_error=internal))


def _check(operation: GraphQLRequestData) -> None:
    """Check the types of the parts of an operation.

    Raises:
        ValidationError: one of them has another type.
    """
    if not isinstance(operation.query, str):
        raise ValidationError("Each operation of a batch needs a query, which must be a string.", "query")
    if not isinstance(operation.variables, dict | None):
        raise ValidationError("variables must be a JSON object or null.", "variables")
    if not isinstance(operation.operation_name, str | None):
        raise ValidationError("operationName must be a string or null.", "operationName")


def _refused(error: GraphQLError) -> ExecutionResult:
    return ExecutionResult(data=None, errors=[error])
