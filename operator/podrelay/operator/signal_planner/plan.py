"""The output of the planner for signals: what to do with a signal."""

from datetime import datetime
from typing import Any

import msgspec


class Action(msgspec.Struct, frozen=True):
    """One thing that the executor can do."""


class Adopt(Action, frozen=True):
    """Make the run the owner of the signal, so that it is deleted with the run."""

    run: str
    uid: str


class CheckPayload(Action, frozen=True):
    """Read the payload and check it against a schema."""

    schema: dict[str, Any]


class Reject(Action, frozen=True):
    """Show in the status of the signal that it was rejected, and why."""

    reason: str
    message: str


class Accept(Action, frozen=True):
    """Let the run have the signal."""


class Delete(Action, frozen=True):
    """Delete a rejected signal that no run owns."""


class Plan(msgspec.Struct, frozen=True):
    """What to do now, and when to plan again."""

    action: Action | None = None
    requeue_at: datetime | None = None
