"""Introspection: executed outside the event loop, because the whole schema takes 70 ms, and up to a limit."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from graphql import (
    DocumentNode,
    ExecutionResult,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLSchema,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
    execute_sync,
)

from podrelay.gateway.errors import LimitError, ValidationError

MAX_FIELDS: Final = 20_000
"""Fields of an answer. The whole schema, as GraphiQL queries it, has less than 9,000."""
_ASKED: Final = frozenset({"__schema", "__type"})
_ANYWHERE: Final = "__typename"


class _TooMuchError(BaseException):
    """Stops an execution at once; graphql-core treats an Exception as the failure of one field."""


def is_wanted(document: DocumentNode, operation: OperationDefinitionNode) -> bool:
    """Return whether an operation queries the schema.

    Raises:
        ValidationError: it also queries something else.
    """
    names = _names(document, operation.selection_set)
    if not names & _ASKED:
        return False
    if others := names - _ASKED - {_ANYWHERE}:
        raise ValidationError(
            f"Query the schema (__schema, __type) in a separate operation, without {', '.join(sorted(others))}.",
            "query",
        )
    return True


def answer(
    schema: GraphQLSchema, document: DocumentNode, operation: str | None, variables: Mapping[str, Any] | None
) -> ExecutionResult:
    """Return the answer to an operation that queries only the schema.

    Raises:
        LimitError: the answer has too many fields.
    """
    left = MAX_FIELDS

    def counted(resolve: Callable[..., Any], *args: Any, **arguments: Any) -> Any:
        nonlocal left
        left -= 1
        if left < 0:
            raise _TooMuchError
        return resolve(*args, **arguments)

    try:
        return execute_sync(
            schema, document, variable_values=dict(variables or {}), operation_name=operation, middleware=[counted]
        )
    except _TooMuchError:
        raise LimitError(
            f"The answer would have more than {MAX_FIELDS} fields of the schema: query each of its lists only once."
        ) from None


def _names(document: DocumentNode, selections: SelectionSetNode) -> set[str]:
    """Return the names of the root fields of an operation, including those in fragments."""
    fragments = {
        definition.name.value: definition.selection_set
        for definition in document.definitions
        if isinstance(definition, FragmentDefinitionNode)
    }
    names: set[str] = set()
    waiting = [selections]
    while waiting:
        for selection in waiting.pop().selections:
            match selection:
                case FieldNode():
                    names.add(selection.name.value)
                case InlineFragmentNode():
                    waiting.append(selection.selection_set)
                case FragmentSpreadNode():
                    if (spread := fragments.pop(selection.name.value, None)) is not None:
                        waiting.append(spread)
    return names
