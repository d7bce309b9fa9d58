"""Check the variables of a request, before graphql-core processes each of their values.

graphql-core takes about 5 us for a value, and much more for a mistake: it compares the name of an unknown entry of an
input with hundreds of others, to suggest one.
"""

from collections.abc import Mapping
from typing import Any, Final

from graphql import (
    GraphQLInputObjectType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLSchema,
    OperationDefinitionNode,
    type_from_ast,
)

from podrelay.gateway.errors import LimitError, ValidationError

MAX_VALUES: Final = 2000
"""In all variables of an operation; the contents of a JSON value do not count, because they are not processed."""
_SHOWN: Final = 60


def check(schema: GraphQLSchema, operation: OperationDefinitionNode, variables: Mapping[str, Any] | None) -> None:
    """Check the number of values and the names of entries; other mistakes are reported by graphql-core.

    Raises:
        LimitError: there are too many values.
        ValidationError: an input has an entry that its type does not have.
    """
    if not variables:
        return
    left = MAX_VALUES
    for definition in operation.variable_definitions or ():
        name = definition.variable.name.value
        waiting = [(type_from_ast(schema, definition.type), variables.get(name), name)]
        while waiting:
            kind, value, path = waiting.pop()
            left -= 1
            if left < 0:
                raise LimitError(
                    f"The variables have more than the {MAX_VALUES} values that are allowed: ask for less at once."
                )
            if isinstance(kind, GraphQLNonNull):
                kind = kind.of_type
            if isinstance(kind, GraphQLList):
                inner = value[: left + 1] if isinstance(value, list) else [value]
                waiting += [(kind.of_type, item, path) for item in inner]
            elif isinstance(kind, GraphQLInputObjectType) and isinstance(value, dict):
                for key, item in value.items():
                    if key not in kind.fields:
                        raise ValidationError(f"{kind.name} has no entry {key[:_SHOWN]!r}.", path)
                    waiting.append((kind.fields[key].type, item, path))
