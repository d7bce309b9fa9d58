"""Settings of a namespace: a small ConfigMap that the gateway writes and the operator reads. Standard library only."""

import re
from typing import Final

from podrelay.api.errors import PodrelayError

CONFIG_MAP: Final = "podrelay-settings"
RETENTION_DAYS: Final = "retentionDays"
"""The key in the ConfigMap's data."""
DEFAULT_RETENTION_DAYS: Final = 90
"""Used if neither the namespace nor a flag sets a value."""
MAX_RETENTION_DAYS: Final = 3650

_WHOLE_NUMBER: Final = re.compile(r"0|[1-9][0-9]{0,3}")
_SHOWN: Final = 40


class RetentionError(PodrelayError):
    """The retention setting is invalid; the message shows the value and says what is allowed."""


def parse_retention_days(text: str) -> int:
    """Return how many days the finished runs of a namespace are kept; 0 means forever.

    Raises:
        RetentionError: `text` is not a whole number from 0 to 3650 in plain digits. No other value is accepted, because
            the setting decides which runs are deleted.
    """
    stripped = text.strip()
    if _WHOLE_NUMBER.fullmatch(stripped) is None or int(stripped) > MAX_RETENTION_DAYS:
        raise RetentionError(
            f"{RETENTION_DAYS} is {text[:_SHOWN]!r}; it must be a whole number from 0 to {MAX_RETENTION_DAYS}"
        )
    return int(stripped)
