"""What the operator has to know of a run's input before its first pod starts. Pure.

A value that a limit is about is compared as JSON, so that the number 1 and the text "1" are different customers.
"""

import hashlib
import json
from typing import Any, Final

_KEY_LENGTH: Final = 64
_MISSING: Final = object()


def concurrency_key(input: dict[str, Any], path: str) -> str:
    """Return the value that `path` (such as customer.id) leads to in `input`, as text of at most 64 characters.

    A field that does not exist gives the empty text; a value with more than 64 characters of JSON gives its SHA-256.
    """
    value: Any = input
    for part in path.split("."):
        value = value.get(part, _MISSING) if isinstance(value, dict) else _MISSING
    if value is _MISSING:
        return ""
    text = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return text if len(text) <= _KEY_LENGTH else hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
