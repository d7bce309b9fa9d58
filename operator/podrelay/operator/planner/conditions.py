"""The conditions of a TaskRun: Succeeded, Reconciling, Stalled, Finished. Pure functions over its status.

They follow kstatus (Reconciling and Stalled are true only while they matter), so that Argo CD, Flux and `kubectl wait`
read a TaskRun without knowing it. Finished is there from the end on, and True however it ended: `kubectl wait` can wait
for one value of one condition only. Until the end it is absent, so that no operator writes a run anew to say False.
"""

from datetime import datetime

from podrelay.operator.objects import Condition, TaskRunStatus

_SUCCEEDED = {"Succeeded": "True", "Failed": "False", "Aborted": "False"}


def with_conditions(status: TaskRunStatus, now: datetime, *, stalled: bool) -> TaskRunStatus:
    """Return `status` with the conditions that its phase, reason and message mean."""
    finished = status.phase in _SUCCEEDED
    # What did not succeed never will by itself: kstatus calls that Failed, and reads it from Stalled.
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
    # Stalled keeps the time of its reason: it tells how long the run has been waiting for this very thing.
    same = before is not None and before.status == value and (kind != "Stalled" or before.reason == reason)
    return Condition(
        type=kind,
        status=value,
        reason=reason,
        message=(status.message or "") if kind == "Succeeded" or (kind == "Stalled" and value == "True") else "",
        last_transition_time=before.last_transition_time if before is not None and same else now,
        observed_generation=status.observed_generation,
    )
