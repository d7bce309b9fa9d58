"""Objects in the form that the operator decodes."""

from typing import Any, TypeVar

import msgspec

T = TypeVar("T")


def seen(obj: dict[str, Any], kind: type[T]) -> T:
    """Return the fields of `obj` that the operator decodes from JSON."""
    return msgspec.json.decode(msgspec.json.encode(obj), type=kind)
