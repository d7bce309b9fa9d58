"""The schema with its limits."""

from pathlib import Path
from typing import Any

import strawberry
from graphql import GraphQLError, GraphQLSchema
from strawberry.extensions import SchemaExtension
from strawberry.schema.config import StrawberryConfig
from strawberry.types.execution import ExecutionContext

from podrelay.gateway import written
from podrelay.gateway.bodies import MAX_NESTS
from podrelay.gateway.measuring import RefusedDocuments
from podrelay.gateway.reading import Reader
from podrelay.gateway.schema.guarding import Guarded
from podrelay.gateway.schema.masking import Masked, is_ours
from podrelay.gateway.schema.mutations import Mutation
from podrelay.gateway.schema.queries import Query
from podrelay.gateway.schema.reading import Reading
from podrelay.gateway.schema.scalars import SCALARS
from podrelay.gateway.schema.subscriptions import Subscription
from podrelay.gateway.shapes import DocumentLimits

HEADER = "# Generated from operator/podrelay/gateway/schema by `make generate`; do not edit.\n\n"


class Schema(strawberry.Schema):
    """Logs nothing about mistakes of callers; `Masked` logs ours."""

    @property
    def core(self) -> GraphQLSchema:
        """The schema as graphql-core has it."""
        return self._schema

    def process_errors(self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None) -> None:
        """Leave the log alone, and let go of what callers' mistakes hold."""
        for error in errors:
            if not is_ours(error):
                _forget_where(error)


def _forget_where(error: BaseException | None) -> None:
    """Cut errors off from the frames that they came through.

    These hold all that an operation has made, and the errors as well: circles that only the garbage collector finds,
    and clearing away a thousand refused fields would hold the event loop for a third of a second.
    """
    while error is not None:
        error.__traceback__ = error.__context__ = error.__cause__ = None
        error = error.original_error if isinstance(error, GraphQLError) else None


class Staleness(SchemaExtension):
    """Says in `extensions` for how many seconds the cache may have missed what happened."""

    def get_results(self) -> dict[str, Any]:
        """Return what is added to `extensions`."""
        seconds = self.execution_context.context.cache.stale_seconds()
        return {"stale": {"seconds": round(seconds, 1)}} if seconds else {}


class Written(SchemaExtension):
    """Says in `extensions` what another replica has to have seen to show what was written here."""

    def get_results(self) -> dict[str, Any]:
        """Return what is added to `extensions`."""
        writes = self.execution_context.context.writes
        return {"readAfter": written.token(writes)} if writes else {}


def build(limits: DocumentLimits | None = None) -> Schema:
    """Return the schema; each limit is held before anything is resolved."""
    limits = limits or DocumentLimits()
    readers: list[Reader] = []
    schema = Schema(
        Query,
        Mutation,
        Subscription,
        # Classes and functions, because strawberry makes extensions anew for each request.
        extensions=[Masked, Guarded, Staleness, Written, RefusedDocuments, lambda: Reading(readers[0])],
        # Not sort_schema: it makes all enums anew without strawberry's own handling of them.
        config=StrawberryConfig(
            scalar_map=SCALARS,
            disable_field_suggestions=not limits.introspection,
            batching_config={"max_operations": MAX_NESTS},  # the server has a limit that tells what to do
        ),
    )
    readers.append(Reader(schema.core, limits))
    return schema


def write(path: Path) -> None:
    """Write the schema in GraphQL's own language."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(HEADER + build().as_str() + "\n", encoding="utf-8")
