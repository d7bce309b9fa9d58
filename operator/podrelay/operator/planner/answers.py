"""Applies a stored answer: the run finishes, continues, or retries. Pure functions, like the planner."""

from datetime import timedelta

import msgspec

from podrelay.api import limits, protocol
from podrelay.operator.objects.answers import Response, StorableResponse, TaskError
from podrelay.operator.objects.definitions import RetryPolicy
from podrelay.operator.objects.records import Record, RecordMetadata
from podrelay.operator.objects.runs import Current, TaskRunStatus
from podrelay.operator.plan import Plan
from podrelay.operator.planner import (
    approvals,
    due_pod,
    failures,
    hooks,
    retry_policy,
    starting,
    statuses,
    termination_message,
)
from podrelay.operator.planner.due_pod import Attempt
from podrelay.operator.pods import Pod
from podrelay.operator.view import View


def apply_answer(view: View, attempt: Attempt, record: Record) -> Plan:
    """Return what follows from the answer in `record`; no user code runs in its pod any longer."""
    response = record.response
    assert response is not None  # noqa: S101 - checked by the caller
    message = response.message or ""
    target = attempt.target
    status = view.run.status.changed(
        # A pod may answer before the status names it; which pod may still call hooks depends on this field.
        current=Current(target.iteration, target.try_, target.name, attempt.uid),
        started_at=view.run.status.started_at or statuses.seconds(record.started_at),
        # A pod that never started has not called run(), so its iteration does not count.
        iterations=record.iteration if record.started_at else record.iteration - 1,
        progress=record.progress or view.run.status.progress,
        hooks=hooks.merged(view.run.status.hooks, [record]),
        recent_iterations=statuses.remember(
            view.run.status, attempt, response.status, statuses.words_of(record), view.now
        ),
        approvals=approvals.including(view, view.run.status, response.signals, record.iteration - 1)
        if response.signals
        else view.run.status.approvals,
    )
    if response.refusal is not None:
        return _refused(view, status, record, response.refusal)
    match response.status:
        case "done":
            return statuses.finish(view, status, "Succeeded", "Done", message or "Task done.", record=record)
        case "aborted":
            return statuses.finish(view, status, "Aborted", "AbortedByTask", message or "Task aborted.", record=record)
        case "continue":
            return _continue(view, status, record)
        case "error":
            return _failed_attempt(view, status, record)
        case unknown:
            return _unknown(view, attempt, record, unknown)


def finish_without_record(view: View, attempt: Attempt, pod: Pod, answer: StorableResponse) -> Plan | None:
    """Return the end of a run whose first answer is final and needs no record, because its status has it all.

    The pod, which Podrelay's finalizer keeps, is the record until the status is written. That is refused if another
    replica has decided otherwise. None if a record is necessary: it keeps the log, and the state of a next iteration.
    """
    definition, ended = view.definition, pod.task.terminated
    if definition is None or definition.spec.record_logs or not pod.reports_by_message or not pod.is_held:
        return None
    if answer.status not in {"done", "aborted"} or answer.error is not None or attempt.record is not None:
        return None
    if attempt.target.iteration > 1 or attempt.target.checkpoint is not None:
        return None  # its output may be that of the state before it
    if ended is None or termination_message.is_silent(pod):
        return None  # what an exit code without a message means changes if the pod is deleted (`_needs_claim`)
    about = pod.metadata
    record = Record(
        metadata=RecordMetadata(
            about.name, about.namespace, about.uid, about.resource_version, about.creation_timestamp
        ),
        run_name=view.run.metadata.name,
        iteration=attempt.target.iteration,
        try_=attempt.target.try_,
        pod_name=about.name,
        pod_uid=about.uid,
        started_at=ended.started_at,
        finished_at=ended.finished_at,
        response=Response(answer.status, answer.message),
    )
    return msgspec.structs.replace(apply_answer(view, attempt, record), output=answer.output)


def _continue(view: View, status: TaskRunStatus, record: Record) -> Plan:
    response = record.response
    assert response is not None  # noqa: S101 - checked by the caller
    answered = record.finished_at or view.now
    due = response.wait_until
    if response.wait_seconds:
        due = answered + timedelta(seconds=response.wait_seconds)
    if due is not None:
        due = min(due, answered + timedelta(seconds=limits.MAX_WAIT_SECONDS))
    if response.wait_for_signal is not None:
        due = None  # `signals` says when the wait is over
    following = status.changed(
        last_record=record.metadata.name,
        attempts=0,
        disruptions=0,
        current=None,
        next_iteration_at=due if due is not None and due > view.now else None,
    )
    allowed = view.definition.spec.max_iterations if view.definition else status.max_iterations
    if allowed is not None and record.iteration >= allowed and not due_pod.is_made(view, following):
        error = TaskError("Task reached max iterations.", "MaxIterations")
        return statuses.finish(view, status, "Failed", "MaxIterations", error.message, record=record, error=error)
    return starting.start(view, following)


def _refused(view: View, status: TaskRunStatus, record: Record, refusal: str) -> Plan:
    """The run was refused before its task was called; another attempt would be refused, too."""
    status = status.changed(iterations=record.iteration - 1)
    error = statuses.error_of(record)
    words = statuses.words_of(record) or error.message
    return statuses.finish(view, status, "Failed", refusal, words, record=record, error=error)


def _unknown(view: View, attempt: Attempt, record: Record, answer: str) -> Plan:
    """Wait for an operator that knows this answer: run() has been called already, and nothing is lost."""
    image = attempt.pod.image if attempt.pod is not None else ""
    words = protocol.unknown_answer(answer, record.protocol, image)
    target = attempt.target
    current = Current(target.iteration, target.try_, target.name, attempt.uid)
    return statuses.stall(view, view.run.status, protocol.UNSUPPORTED_RUNNER, words, current=current)


def _failed_attempt(view: View, status: TaskRunStatus, record: Record) -> Plan:
    cause = record.metadata.annotations.cause or failures.ERROR
    response, error = record.response, statuses.error_of(record)
    assert response is not None  # noqa: S101 - checked by the caller
    policy = view.definition.spec.retry if view.definition else RetryPolicy()
    if due_pod.is_made(view, status.changed(attempts=status.attempts + 1)):
        pass  # the retry exists already, decided by an earlier version of the definition
    elif view.definition is None and not retry_policy.is_ruled_out(response):
        return statuses.definition_gone(view, f"iteration {record.iteration} failed: {error.message}")
    elif not retry_policy.is_allowed(policy, status.attempts, cause, response):
        reason = (error.code if cause != failures.ERROR else None) or "TaskFailed"
        words = statuses.words_of(record) or error.message
        return statuses.finish(view, status, "Failed", reason, words, record=record, error=error)
    pause = retry_policy.pause_seconds(policy, status.attempts, response)
    due = (record.finished_at or view.now) + timedelta(seconds=pause)
    following = status.changed(
        attempts=status.attempts + 1,
        current=None,
        next_iteration_at=due if due > view.now else None,
        error=error,
    )
    return starting.start(view, following)
