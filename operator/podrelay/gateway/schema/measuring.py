"""Count and time fields and subscriptions, by extensions of strawberry."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any, Final, Literal, TypeVar, cast

import strawberry
from strawberry.extensions import FieldExtension, SchemaExtension
from strawberry.extensions.field_extension import AsyncExtensionResolver
from strawberry.types import Info

from podrelay.gateway.errors import GatewayError, InternalError
from podrelay.gateway.metrics import FIELD_SECONDS, FIELDS, REFUSED_DOCUMENTS
from podrelay.gateway.schema.describing import words_of

F = TypeVar("F", bound=Callable[..., Any])

OK: Final = "ok"
CANCELLED: Final = "cancelled"


class _Measured(FieldExtension):
    """Counts and times a field whose answer has a field `error`."""

    def __init__(self, operation: str) -> None:
        self._operation = operation

    async def resolve_async(self, next_: AsyncExtensionResolver, source: Any, info: Info, **kwargs: Any) -> Any:
        """Resolve the field."""
        started = time.perf_counter()
        outcome = CANCELLED  # the query took too long, or the caller has disconnected
        try:
            answer = await next_(source, info, **kwargs)
            outcome = answer.error.code if answer.error is not None else OK
        except Exception as error:
            outcome = _code(error)
            raise
        else:
            return answer
        finally:
            FIELDS.labels(self._operation, info.field_name, outcome).inc()
            FIELD_SECONDS.labels(self._operation, info.field_name).observe(time.perf_counter() - started)


def measured(operation: Literal["query", "mutation"]) -> Callable[[F], F]:
    """Return a decorator that turns a method into a field that is counted and timed."""

    def decorate(method: F) -> F:
        return cast("F", strawberry.field(method, extensions=[_Measured(operation)], description=words_of(method)))

    return decorate


@contextlib.contextmanager
def subscribed(field: str) -> Iterator[None]:
    """Count a subscription when it ends; it is not an error if the subscriber ends it."""
    outcome = OK
    try:
        yield
    except (asyncio.CancelledError, GeneratorExit):
        raise
    except Exception as error:
        outcome = _code(error)
        raise
    finally:
        FIELDS.labels("subscription", field, outcome).inc()


class RefusedDocuments(SchemaExtension):
    """Counts the documents that are not executed."""

    def on_operation(self) -> Iterator[None]:
        """Check whether a document could be parsed and validated."""
        try:
            yield
        except Exception:  # it could not be parsed
            REFUSED_DOCUMENTS.inc()
            raise
        if self.execution_context.pre_execution_errors:
            REFUSED_DOCUMENTS.inc()


def _code(error: Exception) -> str:
    return error.code if isinstance(error, GatewayError) else InternalError.code
