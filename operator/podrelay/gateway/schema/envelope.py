"""`{data, error}`: what every query and mutation answers with."""

import logging
import secrets
from collections.abc import Awaitable
from typing import TypeVar

import strawberry

from podrelay.gateway.errors import GatewayError, InternalError
from podrelay.gateway.schema.scalars import Json

log = logging.getLogger(__name__)
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
        """Return what the caller sees of an error."""
        return cls(message=error.message, code=error.code, data=None if error.data is None else Json(error.data))


async def envelope(work: Awaitable[T]) -> tuple[T | None, Error | None]:
    """Return what `work` returns, or why it could not be done. A bug of ours is told by its log entry's id only."""
    try:
        return await work, None
    except GatewayError as error:
        return None, Error.of(error)
    except Exception as error:  # noqa: BLE001 - whatever it is, its words are not for the caller
        return None, Error.of(masked(error))


def masked(error: BaseException) -> InternalError:
    """Log an error of ours, and return what the caller is told instead."""
    ident = secrets.token_hex(4)
    log.error("internal error %s", ident, exc_info=error)
    return InternalError(f"Internal error {ident}. The gateway's log says more.", {"id": ident})
