"""Label and field selectors, as in the query of a list or watch."""

import re
from collections.abc import Callable, Iterator
from typing import Any, Final

from podrelay.kube.errors import ApiError

Object = dict[str, Any]
Check = Callable[[Object], bool]

_KEY: Final = r"\s*([-A-Za-z0-9_./]+)\s*"
_SET: Final = re.compile(rf"{_KEY}\s(in|notin)\s*\(([^()]*)\)\s*(,|$)")
_EQUALITY: Final = re.compile(rf"{_KEY}(==|=|!=)\s*([-A-Za-z0-9_.]*)\s*(,|$)")
_EXISTENCE: Final = re.compile(rf"\s*(!?){_KEY}(,|$)")


def of(fields: str = "", labels: str = "") -> Check:
    """Return a function that returns whether an object matches both selectors.

    Args:
        fields: a field selector, for example `spec.parent=shop,status.phase!=Failed`.
        labels: a label selector, for example `app=shop,tier in (web, db),!old`.

    Raises:
        ApiError: 400, a selector is invalid.
    """
    checks = [*_of_fields(fields), *_of_labels(labels)]
    return lambda stored: all(check(stored) for check in checks)


def _of_fields(selector: str) -> Iterator[Check]:
    for term in filter(None, selector.split(",")):
        key, equals, value = term.replace("==", "=").partition("=")
        if not equals:
            raise ApiError(400, "BadRequest", f"invalid field selector: {term}")
        path = key.removesuffix("!").strip().split(".")
        yield _field(path, value.strip(), is_equal=not key.endswith("!"))


def _field(path: list[str], value: str, *, is_equal: bool) -> Check:
    def check(stored: Object) -> bool:
        place: Any = stored
        for part in path:
            place = place.get(part) if isinstance(place, dict) else None
        return (str(place or "") == value) is is_equal

    return check


def _of_labels(selector: str) -> Iterator[Check]:
    at = 0
    while at < len(selector):
        if found := _SET.match(selector, at):
            key, operator, values = found[1], found[2], {value.strip() for value in found[3].split(",")}
            yield _label(key, values, is_in=operator == "in")
        elif found := _EQUALITY.match(selector, at):
            yield _label(found[1], {found[3]}, is_in=found[2] != "!=")
        elif found := _EXISTENCE.match(selector, at):
            yield _existence(found[2], exists=not found[1])
        else:
            raise ApiError(400, "BadRequest", f"invalid label selector: {selector}")
        at = found.end()


def _label(key: str, values: set[str], *, is_in: bool) -> Check:
    return lambda stored: (_labels(stored).get(key) in values) is is_in


def _existence(key: str, *, exists: bool) -> Check:
    return lambda stored: (key in _labels(stored)) is exists


def _labels(stored: Object) -> dict[str, str]:
    return stored["metadata"].get("labels") or {}
