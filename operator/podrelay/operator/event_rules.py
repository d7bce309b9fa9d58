"""Which Events a change of a run's status is worth: what an administrator wants to know. Pure.

None for each iteration of a healthy chain: a run that goes well has two, that it has started and that it has succeeded.
Each has a key of its own within its run, so that whoever tells it twice tells it under the same name.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

from podrelay.api.phases import FINISHED
from podrelay.operator.objects import TaskRunStatus

STARTED: Final = "Started"
TRY_FAILED: Final = "TryFailed"
DISRUPTED: Final = "Disrupted"
STALLED: Final = "Stalled"


class News(NamedTuple):
    """What is worth an Event.

    Attributes:
        reason: a word in CamelCase; for the end of a run its phase.
        message: what has happened, for people.
        is_warning: whether somebody may have to do something.
        key: tells it from other news of the same run.
    """

    reason: str
    message: str
    is_warning: bool
    key: str


def of_change(before: TaskRunStatus, after: TaskRunStatus) -> Iterator[News]:
    """Yield what has happened between two statuses of one run."""
    if before.phase in FINISHED:
        return
    if before.started_at is None and after.started_at is not None and after.current is not None:
        yield News(STARTED, f"iteration {after.current.iteration} in pod {after.current.pod_name}", False, "started")
    is_finished = after.phase in FINISHED
    if after.attempts > before.attempts and not is_finished:
        yield _of_try(TRY_FAILED, after, f"attempt-{after.attempts}")
    if after.disruptions > before.disruptions and not is_finished:
        yield _of_try(DISRUPTED, after, f"disruption-{after.disruptions}")
    if is_finished:
        phase = after.phase or ""
        message = f"{after.reason}: {after.message}" if after.message else after.reason or phase
        yield News(phase, message, phase == "Failed", "finished")
    elif _is_stalled(after) and not (_is_stalled(before) and before.reason == after.reason):
        yield News(STALLED, f"{after.reason}: {after.message}", True, f"stalled-{after.reason}".lower())


def _of_try(reason: str, status: TaskRunStatus, key: str) -> News:
    last = status.recent_iterations[0] if status.recent_iterations else None
    if last is None:
        return News(reason, status.message or reason, True, f"{key}-{status.last_record or ''}")
    words = f": {last.message}" if last.message else ""
    return News(
        reason, f"iteration {last.iteration}, attempt {last.try_} in pod {last.pod_name}{words}", True, last.pod_name
    )


def _is_stalled(status: TaskRunStatus) -> bool:
    condition = status.condition("Stalled")
    return condition is not None and condition.status == "True"
