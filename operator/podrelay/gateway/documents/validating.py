"""Validate documents as graphql-core does, without leaving reference cycles for the garbage collector.

graphql-core's visitors refer to themselves, so what they keep of a document is freed only by a full garbage collection,
which blocks the event loop. For a document of 2 KiB that would be 18,000 objects.
"""

from collections.abc import Collection
from typing import Final

from graphql import (
    ASTValidationRule,
    DocumentNode,
    GraphQLError,
    GraphQLSchema,
    ParallelVisitor,
    TypeInfo,
    TypeInfoVisitor,
    ValidationContext,
    visit,
)

from podrelay.api import limits

_MESSAGE_LENGTH: Final = 500
"""Some messages quote a whole value of the document, again for each mistake in that value."""


class _EnoughError(Exception):
    """The maximum number of mistakes has been found."""


def validate(
    schema: GraphQLSchema,
    document: DocumentNode,
    rules: Collection[type[ASTValidationRule]],
    most: int,
    *,
    hide_suggestions: bool,
) -> list[GraphQLError]:
    """Return the mistakes in a document; if there are many, the first ones.

    Args:
        schema: the schema.
        document: the document, with positions, and without fragments nested so deeply that the recursion limit is hit.
        rules: the rules to check.
        most: how many mistakes to find at most.
        hide_suggestions: whether to omit suggestions of what may have been meant.
    """
    found: list[GraphQLError] = []

    def note(error: GraphQLError) -> None:
        # With positions only: nodes would refer to the whole document.
        message = limits.cut(error.message, _MESSAGE_LENGTH)
        found.append(GraphQLError(message, source=error.source, positions=error.positions))
        if len(found) >= most:
            raise _EnoughError

    types = TypeInfo(schema)
    context = ValidationContext(schema, document, types, note, hide_suggestions)
    made = [rule(context) for rule in rules]
    together = ParallelVisitor(made)
    try:
        visit(document, TypeInfoVisitor(types, together))
    except _EnoughError:
        found.append(GraphQLError("There may be more mistakes than these."))
    finally:
        for part in (*made, together, types, context):
            vars(part).clear()
    return found
