"""Phases of a TaskRun: which of them are final, and Webiny's status word for each. Standard library only."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

PENDING: Final = "Pending"
RUNNING: Final = "Running"
SUCCEEDED: Final = "Succeeded"
FAILED: Final = "Failed"
ABORTED: Final = "Aborted"

FINISHED: Final = frozenset({SUCCEEDED, FAILED, ABORTED})
"""A run in one of these phases stays in it."""

STATUS_WORDS: Final[Mapping[str, str]] = MappingProxyType(
    {PENDING: "pending", RUNNING: "running", SUCCEEDED: "success", FAILED: "failed", ABORTED: "aborted"}
)
"""Webiny's `taskStatus` for each phase, in the order in which a run goes through them."""
