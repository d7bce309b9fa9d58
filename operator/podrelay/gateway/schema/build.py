"""The schema with its limits."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import strawberry
from graphql import GraphQLError
from strawberry.extensions import (
    AddValidationRules,
    DisableIntrospection,
    MaxAliasesLimiter,
    QueryDepthLimiter,
    SchemaExtension,
    ValidationCache,
)
from strawberry.schema.config import StrawberryConfig
from strawberry.types.execution import ExecutionContext

from podrelay.gateway.documents import Documents
from podrelay.gateway.measuring import RefusedDocuments
from podrelay.gateway.schema.guarding import Guarded
from podrelay.gateway.schema.masking import Masked
from podrelay.gateway.schema.mutations import Mutation
from podrelay.gateway.schema.queries import Query
from podrelay.gateway.schema.scalars import SCALARS
from podrelay.gateway.schema.subscriptions import Subscription

HEADER = "# Generated from operator/podrelay/gateway/schema by `make generate`; do not edit.\n\n"


@dataclass(frozen=True)
class DocumentLimits:
    """What a document may be like."""

    depth: int = 15
    aliases: int = 30
    tokens: int = 4000
    introspection: bool = True


class Schema(strawberry.Schema):
    """Logs nothing about mistakes of callers; `Masked` logs ours."""

    def process_errors(self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None) -> None:
        """Leave the log alone."""


class Staleness(SchemaExtension):
    """Says in `extensions` for how many seconds the cache may have missed what happened."""

    def get_results(self) -> dict[str, Any]:
        """Return what is added to `extensions`."""
        seconds = self.execution_context.context.cache.stale_seconds()
        return {"stale": {"seconds": round(seconds, 1)}} if seconds else {}


def build(limits: DocumentLimits = DocumentLimits()) -> Schema:
    """Return the schema; each limit is held before anything is resolved."""
    # Classes and functions, because strawberry makes extensions anew for each request. Rules are made once: the cache
    # of validations is keyed by them.
    rules = [
        rule
        for limiter in (
            QueryDepthLimiter(max_depth=limits.depth),
            MaxAliasesLimiter(max_alias_count=limits.aliases),
            *([] if limits.introspection else [DisableIntrospection()]),
        )
        for rule in limiter.validation_rules
    ]
    return Schema(
        Query,
        Mutation,
        Subscription,
        extensions=[
            Masked,
            Guarded,
            Staleness,
            RefusedDocuments,
            lambda: Documents(limits.tokens),
            lambda: AddValidationRules(rules),
            ValidationCache,
        ],
        # Not sort_schema: it makes all enums anew without strawberry's own handling of them.
        config=StrawberryConfig(scalar_map=SCALARS, disable_field_suggestions=not limits.introspection),
    )


def write(path: Path) -> None:
    """Write the schema in GraphQL's own language."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(HEADER + build().as_str() + "\n", encoding="utf-8")
