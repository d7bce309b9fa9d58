"""`{data, error}`: the answer of every query and mutation."""

from collections.abc import Awaitable
from typing import TypeVar

import strawberry

from podrelay.gateway.errors import GatewayError, masked
from podrelay.gateway.schema.scalars import Json

T = TypeVar("T")


@strawberry.type(name="WebinyBackgroundTaskError", description="Why something could not be done.")
class Error:
    """Webiny's error."""

    message: str | None
    code: str | None
    data: Json | None
    stack: str | None = None

    @classmethod
    def of(cls, error: GatewayError) -> "Error":
        """Return the parts of an error that the caller sees."""
        return cls(message=error.message, code=error.code, data=None if error.data is None else Json(error.data))


async def envelope(work: Awaitable[T]) -> tuple[T | None, Error | None]:
    """Return the result of `work`, or its error. Of a bug, the caller sees only the id of the log entry."""
    try:
        return await work, None
    except GatewayError as error:
        return None, Error.of(error)
    except Exception as error:  # noqa: BLE001 - the caller must not see its message
        return None, Error.of(masked(error))
