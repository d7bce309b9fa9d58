"""Builds the status that follows from a decision: phase, reason, message, conditions. Pure functions."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Unpack

import msgspec

from podrelay.api import limits
from podrelay.operator import object_rules
from podrelay.operator.objects.answers import TaskError
from podrelay.operator.objects.records import Record
from podrelay.operator.objects.runs import Current, RecentIteration, StatusChanges, TaskRunStatus
from podrelay.operator.plan import Plan, Target
from podrelay.operator.planner import admission, approvals, hooks
from podrelay.operator.planner.conditions import stalled_since, with_conditions
from podrelay.operator.planner.due_pod import Attempt
from podrelay.operator.pods import Pod
from podrelay.operator.view import View

ITERATION_RUNNING: Final = "IterationRunning"

_CLOCKS_DIFFER: Final = timedelta(seconds=10)
"""By which the clocks of API server and operators may differ, including after a fail-over."""
_NOT_CAMEL_CASE: Final = re.compile(r"[^A-Za-z0-9_,:]")


def no_definition(view: View, status: TaskRunStatus) -> Plan:
    """Show that the run waits for its definition."""
    name = view.run.spec.definition
    message = f'there is no TaskDefinition "{name}" in this namespace; create it'
    return stall(view, status, object_rules.DEFINITION_NOT_FOUND, message)


def wait(view: View, status: TaskRunStatus, reason: str, message: str, until: datetime | None) -> Plan:
    """Show that the run waits; `until` is when it continues, None if that depends on an event."""
    phase = status.phase or "Pending"
    shown = show(view, status, phase, reason, message, current=None, next_iteration_at=until)
    return Plan(status=shown, requeue_at=until)


def stall(
    view: View,
    status: TaskRunStatus,
    reason: str,
    message: str,
    since: datetime | None = None,
    retry_at: datetime | None = None,
    current: Current | None = None,
) -> Plan:
    """Show that the run cannot continue, and why; fail when that has lasted for pendingTimeoutSeconds.

    `current` is the pod whose end is not processed yet, if there is one: it must not be created again.
    """
    seconds = view.definition.spec.pending_timeout_seconds if view.definition else admission.UNKNOWN_PENDING_TIMEOUT
    began = stalled_since(view.run.status, camel(reason)) or since or view.now
    deadline = began + timedelta(seconds=seconds)
    if view.now >= deadline:
        if view.run.spec.abort is not None:
            return finish(view, status, "Aborted", reason, message)
        what = "no pod could be started within" if current is None else "the run could not continue for"
        failed = f"{what} {seconds} s: {message}"
        return finish(view, status, "Failed", reason, failed, error=TaskError(failed, camel(reason)))
    phase = status.phase or "Pending"
    shown = show(view, status, phase, reason, message, stalled=True, current=current, next_iteration_at=None)
    return Plan(status=shown, requeue_at=min(deadline, retry_at) if retry_at else deadline)


def definition_gone(view: View, what: str) -> Plan:
    """Wait for the definition, which alone decides whether there is another attempt."""
    name = view.run.spec.definition
    message = f'{what}; TaskDefinition "{name}" no longer exists; create it again so that its retry policy applies'
    status = view.run.status
    return stall(view, status, object_rules.DEFINITION_NOT_FOUND, message, current=status.current)


def finish(
    view: View,
    status: TaskRunStatus,
    phase: str,
    reason: str,
    message: str,
    *,
    record: Record | None = None,
    error: TaskError | None = None,
) -> Plan:
    """Finish the run. `record` holds its result; `error` is shown in the status of a failed run."""
    final = show(
        view,
        status,
        phase,
        reason,
        message,
        iterations=status.iterations or 0,
        finished_at=seconds(view.now),
        hooks_due=hooks.due_at_end(phase, camel(reason), view.definition),
        next_iteration_at=None,
        error=TaskError(limits.cut(error.message, limits.MESSAGE_LENGTH), error.code) if error else None,
    )
    has_result = record is not None and record.response is not None and record.response.has_result
    return Plan(status=final, payload_from=record.metadata.name if record is not None and has_result else None)


def running(view: View, status: TaskRunStatus, target: Target, pod: Pod) -> TaskRunStatus:
    """Return the status of a run whose pod `target` has been created."""
    allowed = view.definition.spec.max_iterations if view.definition else status.max_iterations
    of = f" of at most {allowed}" if allowed else ""
    number = f", attempt {target.try_}" if target.try_ > 1 else ""
    started_at = status.started_at or seconds(_started(view, pod))
    late = _late_reschedule(view, target, started_at)
    return show(
        view,
        status,
        "Running",
        ITERATION_RUNNING,
        f"iteration {target.iteration}{of}{number} in pod {target.name}{late}",
        iterations=target.iteration,
        max_iterations=allowed,
        started_at=started_at,
        next_iteration_at=None,
        current=_holder(view, target, pod),
        approvals=approvals.including(view, status, pod.signals, target.iteration - 1)
        if pod.signals
        else status.approvals,
    )


def _started(view: View, pod: Pod) -> datetime:
    """Return when a run has started with `pod`; the same in each plan, if its status is written later."""
    return min(view.now, pod.metadata.creation_timestamp) if pod.reports_by_message else view.now


def _late_reschedule(view: View, target: Target, started_at: datetime) -> str:
    """Say that the start was changed too late: the API server accepts that while the status does not name a pod yet."""
    start = object_rules.start_of(view.run)
    if target.iteration > 1 or start is None or start <= started_at + _CLOCKS_DIFFER:
        return ""
    return f"; it was rescheduled to {clock(start)} too late, when the pod had already been created"


def _holder(view: View, target: Target, pod: Pod) -> Current:
    """Return the pod that may run user code, and, if it was created ahead, since when."""
    known = view.run.status.current
    if known is not None and known.pod_uid == pod.metadata.uid:
        return known
    released_at = seconds(view.now) if pod.metadata.annotations.after is not None else None
    return Current(target.iteration, target.try_, target.name, pod.metadata.uid, released_at)


def show(
    view: View,
    status: TaskRunStatus,
    phase: str,
    reason: str,
    message: str,
    *,
    stalled: bool = False,
    **changes: Unpack[StatusChanges],
) -> TaskRunStatus:
    """Return `status` with this phase, reason and message, `changes`, and the conditions that follow from them."""
    changed = msgspec.structs.replace(
        status,
        phase=phase,
        reason=camel(reason),
        message=limits.cut(message, limits.MESSAGE_LENGTH),
        observed_generation=view.run.metadata.generation,
        queue_position=None,
        waiting_for=None,
        concurrency_key=admission.value_of(view),
    ).changed(**changes)
    return with_conditions(changed, seconds(view.now), stalled=stalled)


def remember(
    status: TaskRunStatus, attempt: Attempt, answer: str, message: str, now: datetime
) -> tuple[RecentIteration, ...]:
    """Return the newest attempts that have ended, beginning with `attempt`."""
    pod, record = attempt.pod, attempt.record
    entry = RecentIteration(
        iteration=attempt.target.iteration,
        try_=attempt.target.try_,
        pod_name=attempt.target.name,
        answer=answer,
        started_at=seconds(record.started_at if record else _started_at(pod)),
        finished_at=seconds((record.finished_at if record else None) or _ended_at(pod) or now),
        message=limits.cut(message, limits.RECENT_MESSAGE_LENGTH) or None,
    )
    return (entry, *status.recent_iterations)[: limits.RECENT_ITERATIONS]


def words_of(record: Record) -> str:
    """Return the task's message, or else its error message, or an empty text."""
    response = record.response
    if response is None:
        return ""
    return response.message or (response.error.message if response.error else "")


def error_of(record: Record) -> TaskError:
    """Return why the attempt of `record` failed."""
    stated = record.response.error if record.response else None
    return TaskError(stated.message, stated.code) if stated else TaskError("Task failed.")


def _started_at(pod: Pod | None) -> datetime | None:
    terminated = pod.task.terminated if pod else None
    return terminated.started_at if terminated else None


def _ended_at(pod: Pod | None) -> datetime | None:
    terminated = pod.task.terminated if pod else None
    return terminated.finished_at if terminated else None


def camel(reason: str) -> str:
    """Return `reason` in the form that a condition allows; a reason from elsewhere may contain any characters."""
    return _NOT_CAMEL_CASE.sub("", reason).lstrip("0123456789_,:")[:127].rstrip(",:") or "Unknown"


def clock(moment: datetime) -> str:
    """Return a time in the format of Kubernetes."""
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def seconds(moment: Any) -> Any:
    """Return the time cut to whole seconds, as Kubernetes writes times."""
    return moment.replace(microsecond=0) if moment is not None else None
