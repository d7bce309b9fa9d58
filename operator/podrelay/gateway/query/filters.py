"""`where` and `search`: the operators of each kind of field, and their meaning. Pure.

A missing value equals only null, is in no list, and contains, precedes and follows nothing. Each negated operator is
true exactly where the plain one is false. Equality is exact; contains, startsWith and search ignore case.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from podrelay.gateway.errors import ValidationError
from podrelay.gateway.query.fields import CREATED, SEARCHED, Field, Kind

T = TypeVar("T")
Predicate = Callable[[T], bool]


@dataclass(frozen=True)
class Condition:
    """One entry of `where`: `iterations_gte: 3` is ("iterations", "gte", 3)."""

    field: str
    operator: str
    value: Any

    @property
    def key(self) -> str:
        """The entry's name in GraphQL."""
        return f"{self.field}_{self.operator}" if self.operator else self.field


_EQUALITY: Final = ("", "not", "in", "not_in")
_ORDER: Final = ("gt", "gte", "lt", "lte")
_RANGE: Final = ("between", "not_between")
OPERATORS: Final[Mapping[Kind, tuple[str, ...]]] = {
    Kind.ID: _EQUALITY,
    Kind.WORD: _EQUALITY,
    Kind.TEXT: (*_EQUALITY, "contains", "not_contains", "startsWith", "not_startsWith"),
    Kind.NUMBER: (*_EQUALITY, *_ORDER, *_RANGE),
    Kind.META_DATE: ("", *_ORDER, *_RANGE),
    Kind.DATE: (*_EQUALITY, *_ORDER),
}
LISTS: Final = frozenset({"in", "not_in", "between", "not_between"})
"""Operators that take a list."""

_TESTS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "": lambda value, wanted: value == wanted,
    "in": lambda value, wanted: value in wanted,
    "gt": lambda value, wanted: value is not None and value > wanted,
    "gte": lambda value, wanted: value is not None and value >= wanted,
    "lt": lambda value, wanted: value is not None and value < wanted,
    "lte": lambda value, wanted: value is not None and value <= wanted,
    "between": lambda value, wanted: value is not None and wanted[0] <= value <= wanted[1],
    "contains": lambda value, wanted: value is not None and wanted in value.casefold(),
    "startsWith": lambda value, wanted: value is not None and value.casefold().startswith(wanted),
}


MAX_CONDITIONS: Final = 50
MAX_VALUES: Final = 1000
"""In a list."""
MAX_WORDS: Final = 10
MAX_SEARCH_LENGTH: Final = 1000
"""Characters."""
_WORD_WEIGHT: Final = 6
"""The number of fields in which a word is searched."""


def predicate(fields: Mapping[str, Field[T]], conditions: Sequence[Condition], search: str | None) -> Predicate[T]:
    """Return a function that decides whether an object meets every condition and contains every searched word.

    Raises:
        ValidationError: a condition is invalid, or there are too many conditions or words.
    """
    if len(conditions) > MAX_CONDITIONS:
        raise ValidationError(f"where has more than {MAX_CONDITIONS} entries; use fewer.", "where")
    tests = [_test(fields[condition.field], condition) for condition in conditions if _restricts(condition)]
    tests += [_contains(fields, word) for word in _words(search)]
    return lambda obj: all(test(obj) for test in tests)


def weight(conditions: Sequence[Condition], search: str | None) -> int:
    """Return the cost of inspecting one object, in comparisons: one for the object itself, and those of the filter."""
    return 1 + len(conditions) + _WORD_WEIGHT * len(_words(search))


def created_between(conditions: Iterable[Condition]) -> tuple[float, float]:
    """Return the first and last second since 1970 at which objects that meet the conditions can have been created."""
    oldest, newest = -math.inf, math.inf
    for condition in conditions:
        if condition.field not in CREATED or condition.value is None:
            continue
        value = condition.value
        first, last = value if condition.operator == "between" else (value, value)
        if condition.operator in {"", "gt", "gte", "between"}:
            oldest = max(oldest, first.timestamp())
        if condition.operator in {"", "lt", "lte", "between"}:
            newest = min(newest, last.timestamp())
    return oldest, newest


def _words(search: str | None) -> list[str]:
    if search is None:
        return []
    if len(search) > MAX_SEARCH_LENGTH:
        raise ValidationError(f"search has more than {MAX_SEARCH_LENGTH} characters; use fewer.", "search")
    words = [*dict.fromkeys(search.casefold().split())]
    if len(words) > MAX_WORDS:
        raise ValidationError(f"search has more than {MAX_WORDS} words; use fewer.", "search")
    return words


def wanted(fields: Mapping[str, Field[Any]], conditions: Iterable[Condition], field: str) -> list[Any] | None:
    """Return the values to which the conditions restrict `field`, or None if they do not."""
    for condition in conditions:
        if condition.field == field and condition.operator in {"", "in"} and condition.value is not None:
            values = condition.value if condition.operator else [condition.value]
            return [fields[field].spell(value) for value in values if value is not None]
    return None


def _restricts(condition: Condition) -> bool:
    return condition.value is not None or condition.operator in {"", "not"}


def _test(field: Field[T], condition: Condition) -> Predicate[T]:
    operator = condition.operator.removeprefix("not").removeprefix("_")
    negated = condition.operator.startswith("not")
    expected = _expected(field, operator, condition)
    test, read = _TESTS[operator], field.read
    return lambda obj: test(read(obj), expected) is not negated


def _expected(field: Field[Any], operator: str, condition: Condition) -> Any:
    value = condition.value
    if operator in LISTS and len(value) > MAX_VALUES:
        raise ValidationError(
            f"{condition.key} has more than {MAX_VALUES} values; send several requests.", condition.key
        )
    if operator == "between" and (len(value) != 2 or None in value):
        raise ValidationError(f"{condition.key} needs two values, from and to.", condition.key)
    if operator == "between":
        return [field.spell(item) for item in value]
    if operator == "in":
        return frozenset(None if item is None else field.spell(item) for item in value)
    if operator in {"contains", "startsWith"}:
        return str(value).casefold()
    return None if value is None else field.spell(value)


def _contains(fields: Mapping[str, Field[T]], word: str) -> Predicate[T]:
    readers = [fields[name].read for name in SEARCHED if name in fields]
    return lambda obj: any(word in (read(obj) or "").casefold() for read in readers)
