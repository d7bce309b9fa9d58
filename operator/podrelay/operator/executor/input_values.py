"""Finds the concurrency key in the input of a run, before its first pod starts. Pure.

Values are compared as JSON, so that the number 1 and the text "1" are different customers.
"""

import hashlib
import json
from typing import Any, Final

_KEY_LENGTH: Final = 64
_MISSING: Final = object()


def concurrency_key(input: dict[str, Any], path: str) -> str:
    """Return the value at `path` (such as customer.id) in `input`, as text of at most 64 characters.

    The text is the JSON of the value, or its SHA-256 if the JSON is longer. It is empty if the field does not exist.
    """
    value: Any = input
    for part in path.split("."):
        value = value.get(part, _MISSING) if isinstance(value, dict) else _MISSING
    if value is _MISSING:
        return ""
    text = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return text if len(text) <= _KEY_LENGTH else hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
