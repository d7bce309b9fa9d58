"""Objects as the operator sees them."""

from typing import Any, TypeVar

import msgspec

T = TypeVar("T")


def seen(obj: dict[str, Any], kind: type[T]) -> T:
    """Return what the operator keeps of `obj`, which comes to it as JSON."""
    return msgspec.json.decode(msgspec.json.encode(obj), type=kind)
