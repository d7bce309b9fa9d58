"""Accept GraphQL documents as Webiny's clients write them: with `definition` as an enum, and with another type name.

Webiny 5 has an enum of all definitions, and its SDK still declares variables of that type. In Podrelay definitions are
created and deleted at any time, so the argument is a string; both enum forms are converted to strings before the
document is validated. The SDK of Webiny 6 declares the filter of logs with a type name that no schema has.
"""

from collections.abc import Mapping
from typing import Any, Final, TypeVar

from graphql import (
    ArgumentNode,
    DocumentNode,
    EnumValueNode,
    FieldNode,
    NamedTypeNode,
    NameNode,
    Node,
    StringValueNode,
    VariableDefinitionNode,
    Visitor,
    visit,
)

DEFINITION_ENUM: Final = "WebinyBackgroundTaskDefinitionEnum"
_TYPES: Final[Mapping[str, str]] = {
    DEFINITION_ENUM: "String",
    "BackgroundTaskLogListWhereInput": "WebinyBackgroundTaskLogListWhereInput",
}
"""Type of a variable in a client's document -> its name in the schema."""
_FIELD: Final = "triggerTask"
_ARGUMENT: Final = "definition"

N = TypeVar("N", bound=Node)


class _Enums(Visitor):
    def enter_field(self, node: FieldNode, *_: Any) -> FieldNode | None:
        if node.name.value != _FIELD:
            return None
        return _with(node, arguments=tuple(map(_as_string, node.arguments or ())))

    def enter_variable_definition(self, node: VariableDefinitionNode, *_: Any) -> VariableDefinitionNode | None:
        if isinstance(node.default_value, EnumValueNode) and _names_the_enum(node.type):
            return _with(node, default_value=StringValueNode(value=node.default_value.value))
        return None

    def leave_named_type(self, node: NamedTypeNode, *_: Any) -> NamedTypeNode | None:
        if (name := _TYPES.get(node.name.value)) is None:
            return None
        return NamedTypeNode(name=NameNode(value=name, loc=node.name.loc), loc=node.loc)


def normalise(document: DocumentNode) -> DocumentNode:
    """Return `document` with strings instead of enum values of definitions, and with the type names of the schema."""
    changed: DocumentNode = visit(document, _Enums())
    return changed


def _as_string(argument: ArgumentNode) -> ArgumentNode:
    if argument.name.value != _ARGUMENT or not isinstance(argument.value, EnumValueNode):
        return argument
    return ArgumentNode(name=argument.name, value=StringValueNode(value=argument.value.value), loc=argument.loc)


def _names_the_enum(kind: Any) -> bool:
    while not isinstance(kind, NamedTypeNode):
        kind = kind.type
    return kind.name.value == DEFINITION_ENUM


def _with(node: N, **changes: Any) -> N:
    return type(node)(**{key: getattr(node, key) for key in node.keys} | {"loc": node.loc} | changes)
