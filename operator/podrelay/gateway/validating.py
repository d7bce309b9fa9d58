"""Validates documents as graphql-core does, and leaves nothing behind that Python would have to look for.

Its visitors refer to themselves, and what they have kept of a document goes only when Python looks for cycles among all
objects; the event loop waits for such a look. Of a document of 2 KiB that would be 18,000 objects.
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
"""Some messages quote a whole value of the document, and each mistake in that value quotes it anew."""


class _EnoughError(Exception):
    """So many mistakes are told."""


def validate(
    schema: GraphQLSchema,
    document: DocumentNode,
    rules: Collection[type[ASTValidationRule]],
    most: int,
    *,
    hide_suggestions: bool,
) -> list[GraphQLError]:
    """Return the mistakes of a document, the first ones where there are many.

    Args:
        schema: what can be asked for.
        document: with its places in the text, and without fragments within each other so deep that Python's stack ends.
        rules: to be held.
        most: how many mistakes are looked for.
        hide_suggestions: whether it is left out what may have been meant.
    """
    found: list[GraphQLError] = []

    def note(error: GraphQLError) -> None:
        # With its places only: by its nodes it holds the whole document.
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
