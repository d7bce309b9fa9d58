"""Names of runs: random ones, and ones that follow from what a run is for. Standard library only."""

import base64
import hashlib
import json
import secrets
from datetime import UTC, datetime
from typing import Any, Final

_DEFINITION_LENGTH: Final = 35
_HASH_LENGTH: Final = 12
"""Of base32: 60 bits."""


def name_for(definition: str, *identity: Any) -> str:
    """Return the name of a run that follows from its identity: the same identity gives the same name.

    Args:
        definition: name of the TaskDefinition, in kebab-case.
        identity: JSON values that distinguish the run from the other runs of its definition.
    """
    digest = base64.b32encode(hashlib.sha256(canonical(list(identity)).encode()).digest()).decode().lower()
    return f"{_head(definition)}-{digest[:_HASH_LENGTH]}"


def scheduled_name(schedule: str, scheduled_for: datetime) -> str:
    """Return the name of the run that a schedule starts for a time: the same time always gives the same name.

    >>> scheduled_name("nightly", datetime(2026, 3, 28, 1, 30, tzinfo=UTC))
    'nightly-20260328t013000z'

    Args:
        schedule: name of the TaskSchedule.
        scheduled_for: a time of the schedule, aware.
    """
    return f"{schedule}-{scheduled_for.astimezone(UTC):%Y%m%dt%H%M%Sz}"


def random_name(definition: str) -> str:
    """Return an unused name, so that a request whose answer was lost can be sent again."""
    digest = base64.b32encode(secrets.token_bytes(8)).decode().lower()
    return f"{_head(definition)}-{digest[:_HASH_LENGTH]}"


def canonical(value: Any) -> str:
    """Return JSON that is equal for equal values."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def _head(definition: str) -> str:
    return definition[:_DEFINITION_LENGTH].rstrip("-")
