"""The end of a container's output, as plain text for its record."""

import re
from typing import Any, Final

from podrelay.api import limits

_OVERWRITTEN: Final = re.compile(r"[^\n]*\r(?!\n)")
"""Text that a carriage return has overwritten, such as earlier states of a progress bar."""
_ESCAPES: Final = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b[0-~]")
_CONTROLS: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


def tail(printed: bytes, dropped: int = 0, limit: int = limits.CONSOLE_BYTES) -> dict[str, Any] | None:
    """Return the end of the output in the form that records use, or None if nothing was printed.

    Args:
        printed: the end of the output; any bytes.
        dropped: how many bytes were printed before `printed`.
        limit: how many bytes of UTF-8 to keep.
    """
    if not printed:
        return None
    if len(printed) > limit:
        dropped += len(printed) - limit
        printed = printed[-limit:]
    if dropped:
        first, end, rest = printed.partition(b"\n")
        if end and rest:  # drop the remainder of a truncated line
            dropped, printed = dropped + len(first) + 1, rest
    text = printed.decode("utf-8", "replace").replace("\r\n", "\n")
    text = _CONTROLS.sub("", _ESCAPES.sub("", _OVERWRITTEN.sub("", text)))
    if len(text.encode()) > limit:  # each byte that is not valid UTF-8 has become three
        text = text.encode()[-limit:].decode("utf-8", "ignore")
    return {"text": text, "droppedBytes": dropped} if dropped else {"text": text}
