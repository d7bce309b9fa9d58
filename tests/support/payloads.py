"""Payloads of an exact size, measured like everywhere in Podrelay: the bytes of the compact JSON in UTF-8."""

import json
from typing import Any

KIB = 1024
LIMIT = 256 * KIB


def json_size(value: Any) -> int:
    """Return the size of a payload."""
    return len(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode())


def payload_of(size: int, **content: Any) -> dict[str, Any]:
    """Return `content` with padding to a total of exactly `size` bytes."""
    padded = content | {"padding": ""}
    missing = size - json_size(padded)
    assert missing >= 0, f"the content alone is {-missing} bytes too large"
    padded["padding"] = "x" * missing
    return padded
