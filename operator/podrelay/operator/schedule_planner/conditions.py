"""The conditions of a TaskSchedule: Ready, Stalled and Suspended. Pure functions.

They follow kstatus, so that Argo CD, Flux and `kubectl wait` understand a TaskSchedule without special support.
"""

from datetime import datetime
from typing import Final, NamedTuple

from podrelay.api import limits
from podrelay.operator.objects.metadata import Condition
from podrelay.operator.objects.schedules import TaskSchedule

INVALID: Final = "InvalidSchedule"
REFUSED: Final = "RunRefused"
SUSPENDED: Final = "Suspended"
SCHEDULING: Final = "Scheduling"
ENDED: Final = "NoMoreTimes"


class Verdict(NamedTuple):
    """Whether runs start as described, and why."""

    is_ready: bool
    reason: str
    message: str


def of(schedule: TaskSchedule, verdict: Verdict, now: datetime, *, is_suspended: bool) -> tuple[Condition, ...]:
    """Return the conditions; those that are unchanged keep their time."""
    spec = schedule.spec
    who = f" by {spec.suspended_by}" if spec.suspended_by else ""
    note = f": {spec.suspend_note}" if spec.suspend_note else ""
    is_wrong = verdict.reason == INVALID
    wanted = (
        ("Ready", verdict.is_ready, verdict.reason, verdict.message),
        ("Stalled", is_wrong, verdict.reason, verdict.message if is_wrong else ""),
        (
            "Suspended",
            is_suspended,
            SUSPENDED if is_suspended else SCHEDULING,
            f"suspended{who}{note}" if is_suspended and spec.suspend else "",
        ),
    )
    return tuple(
        _condition(schedule, kind, is_true=is_true, reason=reason, message=message, now=now)
        for kind, is_true, reason, message in wanted
    )


def _condition(
    schedule: TaskSchedule, kind: str, *, is_true: bool, reason: str, message: str, now: datetime
) -> Condition:
    value = "True" if is_true else "False"
    before = schedule.status.condition(kind)
    same = before is not None and before.status == value
    return Condition(
        type=kind,
        status=value,
        reason=reason,
        message=limits.cut(message, limits.MESSAGE_LENGTH),
        last_transition_time=before.last_transition_time if before is not None and same else now.replace(microsecond=0),
        observed_generation=schedule.metadata.generation,
    )
