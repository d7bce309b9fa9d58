"""Settings of a namespace: a small ConfigMap that the gateway writes and the operator obeys. Standard library only."""

import re
from typing import Final

from podrelay.api.errors import PodrelayError

CONFIG_MAP: Final = "podrelay-settings"
RETENTION_DAYS: Final = "retentionDays"
"""The key of the ConfigMap's data."""
DEFAULT_RETENTION_DAYS: Final = 90
"""Where neither the namespace nor a flag says anything."""
MAX_RETENTION_DAYS: Final = 3650

_WHOLE_NUMBER: Final = re.compile(r"0|[1-9][0-9]{0,3}")
_SHOWN: Final = 40


class RetentionError(PodrelayError):
    """Nobody can know for how long runs are to be kept; the message says what was found, and what would do."""

    reason = "InvalidRetention"


def parse_retention_days(text: str) -> int:
    """Return for how many days finished runs of a namespace are kept; 0: for ever.

    Raises:
        RetentionError: `text` is no whole number from 0 to 3650 in plain digits. Runs are deleted by it, so nothing is
            guessed.
    """
    stripped = text.strip()
    if _WHOLE_NUMBER.fullmatch(stripped) is None or int(stripped) > MAX_RETENTION_DAYS:
        raise RetentionError(
            f"{RETENTION_DAYS} is {text[:_SHOWN]!r}; it has to be a whole number from 0 to {MAX_RETENTION_DAYS}"
        )
    return int(stripped)
