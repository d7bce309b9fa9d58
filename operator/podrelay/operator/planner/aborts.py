"""An aborted run: its pod may clean up, then the run becomes Aborted. Pure, like the planner."""

from podrelay.api.hooks import ON_ABORT
from podrelay.operator.objects.answers import StorableResponse
from podrelay.operator.objects.records import Record
from podrelay.operator.objects.runs import Current, TaskRunStatus
from podrelay.operator.plan import Plan, WriteRecord
from podrelay.operator.planner import ending, hooks, responses, statuses, termination_message
from podrelay.operator.planner.due_pod import Attempt
from podrelay.operator.view import View


def abort(view: View, attempt: Attempt, message: str | None) -> Plan:
    """Finish an aborted run: it becomes Aborted, regardless of its pod's answer; the pod may clean up first."""
    words = message or "Task aborted."
    record = attempt.record
    has_answered = record is not None and record.response is not None
    calls_hook = has_answered and ON_ABORT in hooks.declared(view.definition)  # as soon as it reads Aborted
    if not attempt.has_ended and not calls_hook:
        assert attempt.pod is not None  # noqa: S101 - a pod that is gone has ended
        return ending.end(view, attempt, attempt.pod)
    response = _missing_response(attempt, words)
    if response is not None:
        pod = attempt.pod or (attempt.gone.last if attempt.gone else None)
        return responses.write(view, WriteRecord(attempt.target, attempt.uid, pod, response))
    status = view.run.status if record is None else _status_of(view, attempt, record, words)
    return statuses.finish(view, status, "Aborted", "Aborted", words, record=record)


def _missing_response(attempt: Attempt, words: str) -> StorableResponse | None:
    """Return the response to write for a pod that has left none; None if nothing has to be written."""
    pod = attempt.pod or (attempt.gone.last if attempt.gone else None)
    # A pod that reports by message has no record before this one. Pods and records have separate watches, so the end of
    # another pod may be seen before its record; the executor reads it before it writes.
    is_unseen = attempt.record is None and pod is not None and pod.has_started
    if not is_unseen and (attempt.record is None or attempt.record.response is not None):
        return None
    answer = termination_message.answer_of(pod) if pod is not None else None
    return StorableResponse("aborted", message=words, output=answer.output if answer else None)


def _status_of(view: View, attempt: Attempt, record: Record, words: str) -> TaskRunStatus:
    status, target = view.run.status, attempt.target
    return status.changed(
        current=Current(target.iteration, target.try_, target.name, attempt.uid),
        started_at=status.started_at or statuses.seconds(record.started_at),
        iterations=record.iteration,
        progress=record.progress or status.progress,
        hooks=hooks.merged(status.hooks, [record]),
        recent_iterations=statuses.remember(status, attempt, "aborted", words, view.now),
    )
