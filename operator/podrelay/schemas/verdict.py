"""What came out of a check."""

from typing import Any

import msgspec


class Verdict(msgspec.Struct, frozen=True, omit_defaults=True):
    """What came out of a check against a JSON Schema: it is none, or these fields do not fit it, or all is well."""

    problem: str | None = None
    fields: dict[str, Any] = {}
    """By dot path, each as {"code", "message", "data": {"path"}}: the shape that the SDK gives pydantic's errors."""
