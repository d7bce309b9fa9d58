"""Decides which Events a change of a run's status causes: what an administrator wants to know. Pure functions.

There is no Event for each iteration: a healthy run has two, when it has started and when it has succeeded. Each Event
has its own key within its run, so that a repetition has the same name.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

from podrelay.api.phases import FINISHED
from podrelay.operator.object_rules import is_stalled
from podrelay.operator.objects.runs import TaskRunStatus

STARTED: Final = "Started"
TRY_FAILED: Final = "TryFailed"
DISRUPTED: Final = "Disrupted"
STALLED: Final = "Stalled"


class News(NamedTuple):
    """The content of an Event.

    Attributes:
        reason: a word in CamelCase; for a finished run, its phase.
        message: human-readable description of what has happened.
        is_warning: whether a user may have to act.
        key: identifies it among all Events of the run.
    """

    reason: str
    message: str
    is_warning: bool
    key: str


def of_change(before: TaskRunStatus, after: TaskRunStatus) -> Iterator[News]:
    """Yield the Events for the changes between two statuses of one run."""
    if before.phase in FINISHED:
        return
    if before.started_at is None and after.started_at is not None and after.current is not None:
        yield News(STARTED, f"iteration {after.current.iteration} in pod {after.current.pod_name}", False, "started")
    is_finished = after.phase in FINISHED
    if after.attempts > before.attempts and not is_finished:
        yield _of_attempt(TRY_FAILED, after, f"attempt-{after.attempts}")
    if after.disruptions > before.disruptions and not is_finished:
        yield _of_attempt(DISRUPTED, after, f"disruption-{after.disruptions}")
    if is_finished:
        phase = after.phase or ""
        message = f"{after.reason}: {after.message}" if after.message else after.reason or phase
        yield News(phase, message, phase == "Failed", "finished")
    elif is_stalled(after) and not (is_stalled(before) and before.reason == after.reason):
        yield News(STALLED, f"{after.reason}: {after.message}", True, f"stalled-{after.reason}".lower())


def _of_attempt(reason: str, status: TaskRunStatus, key: str) -> News:
    last = status.recent_iterations[0] if status.recent_iterations else None
    if last is None:
        return News(reason, status.message or reason, True, f"{key}-{status.last_record or ''}")
    words = f": {last.message}" if last.message else ""
    return News(
        reason, f"iteration {last.iteration}, attempt {last.try_} in pod {last.pod_name}{words}", True, last.pod_name
    )
