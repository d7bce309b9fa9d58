"""What a document may be like, found out in one walk through each of its definitions, before it is validated. Pure.

Fragments are counted once each and then added up: n fragments that spread each other twice describe 2^n fields, and
whoever follows them never comes to an end.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from typing import Final, NamedTuple

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
)

from podrelay.gateway.errors import LimitError

MAX_DEFINITIONS: Final = 50
"""Operations and fragments of a document."""
MAX_FIELDS: Final = 2000
"""Fields of a document, each counted wherever its fragment is spread."""
MAX_SAME_FIELDS: Final = 100
"""Each two of the same name are compared, whether they can be merged."""
_HIDDEN: Final = "__"


@dataclass(frozen=True)
class DocumentLimits:
    """What a document may be like.

    Attributes:
        depth: fields within each other; those of introspection have a limit of their own.
        aliases: how many, wherever their fragments are spread.
        tokens: names, values and punctuation.
        size: bytes.
        introspection: whether it may ask for the schema.
    """

    depth: int = 15
    aliases: int = 30
    tokens: int = 2000
    size: int = 16 * 1024
    introspection: bool = True


class _Spread(NamedTuple):
    name: str
    depth: int


@dataclass
class _Shape:
    """What is in one definition, at first without the fragments that it spreads."""

    depth: int = 0
    aliases: int = 0
    fields: int = 0
    spreads: list[_Spread] = field(default_factory=list)

    def add(self, fragments: Mapping[str, "_Shape"]) -> None:
        """Add what the fragments hold; an unknown one is told of by the validation."""
        for name, depth in self.spreads:
            if (fragment := fragments.get(name)) is not None:
                self.depth = max(self.depth, depth + fragment.depth)
                self.aliases += fragment.aliases
                self.fields += fragment.fields


def check(document: DocumentNode, limits: DocumentLimits) -> None:
    """Return if a document is within the limits.

    Raises:
        LimitError: it is not; the message tells the limit, and what to do.
        GraphQLError: its fragments go round in a circle.
    """
    if len(document.definitions) > MAX_DEFINITIONS:
        raise LimitError(
            f"The document has {len(document.definitions)} operations and fragments, more than the {MAX_DEFINITIONS} "
            "that are allowed: send the operation alone that you want, with the fragments that it uses."
        )
    names: Counter[str] = Counter()
    fragments: dict[str, _Shape] = {}
    operations: list[_Shape] = []
    for definition in document.definitions:
        if isinstance(definition, FragmentDefinitionNode):
            fragments[definition.name.value] = _shape(definition.selection_set, names)
        elif isinstance(definition, OperationDefinitionNode):
            operations.append(_shape(definition.selection_set, names))
    _check_names(names)
    for name in _inner_first(fragments):
        fragments[name].add(fragments)
    for operation in operations:
        operation.add(fragments)
    _check_totals(operations, limits)


def _check_names(names: Counter[str]) -> None:
    for name, count in names.most_common(1):
        if count > MAX_SAME_FIELDS:
            raise LimitError(
                f"The document has the field {name} {count} times, more than the {MAX_SAME_FIELDS} that are allowed: "
                "ask for it once."
            )


def _check_totals(operations: Sequence[_Shape], limits: DocumentLimits) -> None:
    if (fields := sum(shape.fields for shape in operations)) > MAX_FIELDS:
        raise LimitError(
            f"The document has {_told(fields)} fields once its fragments are spread, more than the {MAX_FIELDS} that "
            "are allowed: ask for fewer, or in several requests."
        )
    if (aliases := sum(shape.aliases for shape in operations)) > limits.aliases:
        raise LimitError(
            f"The document has {aliases} aliases, more than the {limits.aliases} that are allowed: send several "
            "requests instead."
        )
    if (depth := max((shape.depth for shape in operations), default=0)) > limits.depth:
        raise LimitError(
            f"The document has a depth of {depth} fields within each other, more than the {limits.depth} that are "
            "allowed: ask for what is deeper in a request of its own."
        )


def _told(number: int) -> str:
    return str(number) if number < 1_000_000 else "millions of"


def _inner_first(fragments: Mapping[str, _Shape]) -> Iterable[str]:
    """Return the names of fragments, each after all those that it spreads."""
    spread = {name: {inner.name for inner in shape.spreads} & fragments.keys() for name, shape in fragments.items()}
    try:
        return [*TopologicalSorter(spread).static_order()]
    except CycleError as error:
        circle = ", ".join(dict.fromkeys(error.args[1]))
        raise GraphQLError(f"Fragments must not spread themselves, nor each other in a circle: {circle}.") from None


def _shape(selections: SelectionSetNode, names: Counter[str]) -> _Shape:
    shape = _Shape()
    waiting = [(selections, 0)]
    while waiting:
        inner, depth = waiting.pop()
        for selection in inner.selections:
            match selection:
                case FragmentSpreadNode():
                    shape.spreads.append(_Spread(selection.name.value, depth))
                case InlineFragmentNode():
                    waiting.append((selection.selection_set, depth))
                case FieldNode():
                    shape.fields += 1
                    shape.aliases += selection.alias is not None
                    names[selection.name.value] += 1
                    if selection.selection_set is not None:
                        below = depth + (not selection.name.value.startswith(_HIDDEN))
                        shape.depth = max(shape.depth, below)
                        waiting.append((selection.selection_set, below))
    return shape
