"""How operator and pod report an invalid input. Standard library only."""

from collections.abc import Mapping
from typing import Any, Final

from podrelay.api import limits

INVALID_FIELDS: Final = "VALIDATION_FAILED_INVALID_FIELDS"
"""Error code of a run whose input is invalid, as in Webiny."""
VALIDATION_FAILED: Final = "Validation failed."


def in_words(invalid_fields: Mapping[str, Any], message: str = VALIDATION_FAILED) -> str:
    """Return a message that names each invalid field, cut to the length of a status message.

    Args:
        invalid_fields: by dot path, each as {"code", "message", "data": {"path"}}; other values are ignored.
        message: the beginning of the message.
    """
    fields = "; ".join(
        f"{path or 'input'}: {field['message']}"
        for path, field in invalid_fields.items()
        if isinstance(field, Mapping) and "message" in field
    )
    return limits.cut(f"{message} {fields}".rstrip(), limits.MESSAGE_LENGTH)
