"""Build the schema, with its limits."""

from pathlib import Path
from typing import Any

import strawberry
from graphql import GraphQLError, GraphQLSchema
from strawberry.extensions import SchemaExtension
from strawberry.schema.config import StrawberryConfig
from strawberry.types.execution import ExecutionContext

from podrelay.gateway import read_your_writes
from podrelay.gateway.call import Call
from podrelay.gateway.documents.reader import Reader
from podrelay.gateway.documents.shapes import MAX_NESTS, DocumentLimits
from podrelay.gateway.schema.document_extension import Reading
from podrelay.gateway.schema.executing import Execution, clear_tracebacks
from podrelay.gateway.schema.guarding import Guarded
from podrelay.gateway.schema.masking import Masked, is_bug
from podrelay.gateway.schema.measuring import RefusedDocuments
from podrelay.gateway.schema.mutations import Mutation
from podrelay.gateway.schema.queries import Query
from podrelay.gateway.schema.scalars import SCALARS
from podrelay.gateway.schema.subscriptions import Subscription

HEADER = "# Generated from operator/podrelay/gateway/schema by `make generate`; do not edit.\n\n"


class Schema(strawberry.Schema):
    """The schema; it does not log mistakes of callers. Bugs are logged by `Masked`."""

    @property
    def core(self) -> GraphQLSchema:
        """The graphql-core schema."""
        return self._schema

    def process_errors(self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None) -> None:
        """Log nothing, and free what errors caused by callers refer to."""
        for error in errors:
            if not is_bug(error):
                clear_tracebacks(error)


class Currency(SchemaExtension):
    """Adds to `extensions` how current the cache is, here and at other replicas.

    `stale` says for how many seconds the cache may have missed changes. By `readAfter`, another replica can show what
    was written here.
    """

    def get_results(self) -> dict[str, Any]:
        """Return the entries for `extensions`."""
        call: Call = self.execution_context.context
        seconds = call.cache.stale_seconds()
        stale = {"stale": {"seconds": round(seconds, 1)}} if seconds else {}
        return stale | ({"readAfter": read_your_writes.token(call.writes)} if call.writes else {})


def build(limits: DocumentLimits | None = None) -> Schema:
    """Return the schema; all limits of documents are checked before anything is resolved."""
    limits = limits or DocumentLimits()
    readers: list[Reader] = []
    schema = Schema(
        Query,
        Mutation,
        Subscription,
        # Classes and functions, because strawberry creates new extensions for each request.
        extensions=[Masked, Guarded, Currency, RefusedDocuments, lambda: Reading(readers[0])],
        execution_context_class=Execution,
        # Not sort_schema: it replaces all enums, without strawberry's own handling of them.
        config=StrawberryConfig(
            scalar_map=SCALARS,
            disable_field_suggestions=not limits.introspection,
            batching_config={"max_operations": MAX_NESTS},  # the server's own limit has a more helpful message
        ),
    )
    readers.append(Reader(schema.core, limits))
    return schema


def write(path: Path) -> None:
    """Write the schema in GraphQL's schema definition language."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(HEADER + build().as_str() + "\n", encoding="utf-8")
