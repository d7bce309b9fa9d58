"""Fields that the schema of a kind does not have: a strict request is refused, from others they are dropped."""

from collections.abc import Iterator
from typing import Any

from podrelay.devserver import discovery
from podrelay.kube.errors import ApiError

Object = dict[str, Any]


def known(plural: str, body: Any, *, is_strict: bool) -> Any:
    """Return an object, or a merge patch for one, without unknown fields.

    Raises:
        ApiError: 400, it has unknown fields, and `is_strict` is true.
    """
    schema = discovery.schema_of(plural)
    if schema is None or not isinstance(body, dict):
        return body
    if is_strict and (found := list(_unknown(schema, body, ""))):
        words = ", ".join(f'unknown field "{path}"' for path in found)
        raise ApiError(400, "BadRequest", f"strict decoding error: {words}")
    return _pruned(schema, body)


def _unknown(schema: Object, value: Any, path: str) -> Iterator[str]:
    if isinstance(value, list):
        for at, item in enumerate(value):
            yield from _unknown(schema.get("items", {}), item, f"{path}[{at}]")
    if not isinstance(value, dict) or _is_open(schema):
        return
    for name, item in value.items():
        place = f"{path}.{name}" if path else name
        if name in schema["properties"]:
            yield from _unknown(schema["properties"][name], item, place)
        else:
            yield place


def _pruned(schema: Object, value: Any) -> Any:
    if isinstance(value, list):
        return [_pruned(schema.get("items", {}), item) for item in value]
    if not isinstance(value, dict) or _is_open(schema):
        return value
    properties = schema["properties"]
    return {name: _pruned(properties[name], item) for name, item in value.items() if name in properties}


def _is_open(schema: Object) -> bool:
    return "properties" not in schema or bool(schema.get("x-kubernetes-preserve-unknown-fields"))
