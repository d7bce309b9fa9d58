"""The result of a check."""

from typing import Any

import msgspec


class Verdict(msgspec.Struct, frozen=True, omit_defaults=True):
    """The result of a check against a JSON Schema: a problem with the schema, invalid fields, or neither."""

    problem: str | None = None
    fields: dict[str, Any] = {}
    """By dot path, each as {"code", "message", "data": {"path"}}: the same form as for pydantic's errors in the SDK."""
