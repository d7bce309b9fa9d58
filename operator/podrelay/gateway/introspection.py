"""What the schema is asked about itself: beside the event loop, as the whole of it takes 70 ms, and up to a limit."""

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
"""Of an answer. The whole schema, as GraphiQL asks for it, has less than 9,000."""
_ASKED: Final = frozenset({"__schema", "__type"})
_ANYWHERE: Final = "__typename"


class _TooMuchError(BaseException):
    """Ends an execution at once; graphql-core would take any other exception for the failure of one field."""


def is_wanted(document: DocumentNode, operation: OperationDefinitionNode) -> bool:
    """Tell whether an operation asks for the schema.

    Raises:
        ValidationError: it asks for something else beside it.
    """
    names = _names(document, operation.selection_set)
    if not names & _ASKED:
        return False
    if others := names - _ASKED - {_ANYWHERE}:
        raise ValidationError(
            f"Ask for the schema (__schema, __type) in an operation of its own, without {', '.join(sorted(others))}.",
            "query",
        )
    return True


def answer(
    schema: GraphQLSchema, document: DocumentNode, operation: str | None, variables: Mapping[str, Any] | None
) -> ExecutionResult:
    """Return the answer to an operation that asks for nothing but the schema.

    Raises:
        LimitError: it would be too long.
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
            f"The answer would have more than {MAX_FIELDS} fields of the schema: ask for each of its lists once."
        ) from None


def _names(document: DocumentNode, selections: SelectionSetNode) -> set[str]:
    """Return the names of the fields right below an operation, those in fragments included."""
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
