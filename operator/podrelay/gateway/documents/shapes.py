"""Check the size and depth of a document, by one pass over each of its definitions, before it is validated. Pure.

Each fragment is counted once, and the counts are added up: n fragments that spread each other twice describe 2^n
fields, which could not be visited one by one.
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
"""Fields of a document; a field in a fragment counts each time the fragment is spread."""
MAX_ALIAS_LENGTH: Final = 100
MAX_SAME_FIELDS: Final = 100
"""Fields of the same name. Validation compares each pair of them, to check whether they can be merged."""
_HIDDEN: Final = "__"

MAX_NESTS: Final = 50_000
"""Lists and objects in a body. Brackets in texts count, too, because distinguishing them takes too long.

1 MiB has room for 500,000, which take 50 MB of memory, and a fifth of a second of each garbage collection.
"""


@dataclass(frozen=True)
class DocumentLimits:
    """The limits of a document.

    Attributes:
        depth: levels of nested fields; introspection has its own limit.
        aliases: number of aliases; one in a fragment counts each time the fragment is spread.
        tokens: number of names, values and punctuation.
        size: size in bytes.
        introspection: whether it may query the schema.
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
    """The counts of one definition, at first without the fragments that it spreads."""

    depth: int = 0
    aliases: int = 0
    fields: int = 0
    spreads: list[_Spread] = field(default_factory=list)

    def add(self, fragments: Mapping[str, "_Shape"]) -> None:
        """Add the counts of the fragments; unknown fragments are reported by the validation."""
        for name, depth in self.spreads:
            if (fragment := fragments.get(name)) is not None:
                self.depth = max(self.depth, depth + fragment.depth)
                self.aliases += fragment.aliases
                self.fields += fragment.fields


def check(document: DocumentNode, limits: DocumentLimits) -> None:
    """Check that a document is within the limits.

    Raises:
        LimitError: it is not; the message names the limit and says what to do.
        GraphQLError: its fragments spread each other in a circle.
    """
    if len(document.definitions) > MAX_DEFINITIONS:
        raise LimitError(
            f"The document has {len(document.definitions)} operations and fragments, more than the {MAX_DEFINITIONS} "
            "that are allowed: send only the operation that you need, with the fragments that it uses."
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


def _check_alias(alias: str) -> None:
    if len(alias) > MAX_ALIAS_LENGTH:
        raise LimitError(
            f"The alias {alias[:20]}... has {len(alias)} characters, more than the {MAX_ALIAS_LENGTH} that are "
            "allowed: the answer repeats it for each object."
        )


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
            f"The document has {_in_words(fields)} fields once its fragments are spread, more than the {MAX_FIELDS} "
            "that are allowed: ask for fewer, or send several requests."
        )
    if (aliases := sum(shape.aliases for shape in operations)) > limits.aliases:
        raise LimitError(
            f"The document has {aliases} aliases, more than the {limits.aliases} that are allowed: send several "
            "requests instead."
        )
    if (depth := max((shape.depth for shape in operations), default=0)) > limits.depth:
        raise LimitError(
            f"The document has {depth} levels of nested fields, more than the {limits.depth} that are allowed: query "
            "the deeper levels in a separate request."
        )


def _in_words(number: int) -> str:
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
                    if selection.alias is not None:
                        shape.aliases += 1
                        _check_alias(selection.alias.value)
                    names[selection.name.value] += 1
                    if selection.selection_set is not None:
                        below = depth + (not selection.name.value.startswith(_HIDDEN))
                        shape.depth = max(shape.depth, below)
                        waiting.append((selection.selection_set, below))
    return shape
