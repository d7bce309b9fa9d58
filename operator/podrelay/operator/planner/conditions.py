"""The conditions of a TaskRun: Succeeded, Reconciling, Stalled, Finished. Pure functions over its status.

They follow kstatus (Reconciling and Stalled are True only while they apply), so that Argo CD, Flux and `kubectl wait`
understand a TaskRun without special support. Finished appears when the run finishes, and is True in every final phase,
because `kubectl wait` can only wait for one value of one condition. It is absent before that, so that a new version of
the operator does not have to rewrite each run only to add a False.
"""

from datetime import datetime

from podrelay.operator.objects.metadata import Condition
from podrelay.operator.objects.runs import TaskRunStatus

_SUCCEEDED = {"Succeeded": "True", "Failed": "False", "Aborted": "False"}


def with_conditions(status: TaskRunStatus, now: datetime, *, stalled: bool) -> TaskRunStatus:
    """Return `status` with the conditions that follow from its phase, reason and message."""
    finished = status.phase in _SUCCEEDED
    # A run that did not succeed stays that way; kstatus calls that Failed, and derives it from Stalled.
    stalled = stalled or _SUCCEEDED.get(status.phase or "") == "False"
    wanted = {
        "Succeeded": _SUCCEEDED.get(status.phase or "", "Unknown"),
        "Reconciling": "True" if not finished and not stalled else "False",
        "Stalled": "True" if stalled else "False",
        **({"Finished": "True"} if finished else {}),
    }
    return status.changed(conditions=tuple(_condition(status, kind, value, now) for kind, value in wanted.items()))


def stalled_since(status: TaskRunStatus, reason: str) -> datetime | None:
    """Return since when the run has been stalled for this `reason`, or None if it is not."""
    condition = status.condition("Stalled")
    if condition is None or condition.status != "True" or condition.reason != reason:
        return None
    return condition.last_transition_time


def _condition(status: TaskRunStatus, kind: str, value: str, now: datetime) -> Condition:
    before = status.condition(kind)
    reason = status.reason or "Unknown"
    # The transition time of Stalled belongs to its reason: it shows how long the run has had this problem.
    same = before is not None and before.status == value and (kind != "Stalled" or before.reason == reason)
    return Condition(
        type=kind,
        status=value,
        reason=reason,
        message=(status.message or "") if kind == "Succeeded" or (kind == "Stalled" and value == "True") else "",
        last_transition_time=before.last_transition_time if before is not None and same else now,
        observed_generation=status.observed_generation,
    )
