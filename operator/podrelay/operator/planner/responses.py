"""Responses that the operator writes for pods that have ended without one. Pure, like the planner."""

from podrelay.operator.objects.answers import StorableError, StorableResponse
from podrelay.operator.plan import ClaimRecord, Plan, WriteRecord
from podrelay.operator.planner import statuses
from podrelay.operator.planner.due_pod import Attempt
from podrelay.operator.planner.failures import Failure
from podrelay.operator.pods import Pod
from podrelay.operator.view import View


def write(view: View, action: WriteRecord | ClaimRecord) -> Plan:
    """Write the record, unless that was refused recently: then show the refusal."""
    refusal, status = view.refusal, view.run.status
    if refusal is None or refusal.name != action.target.name or refusal.retry_at <= view.now:
        return Plan(actions=(action,))
    return statuses.stall(
        view, status, refusal.reason, refusal.message, refusal.since, refusal.retry_at, current=status.current
    )


def write_failure(view: View, attempt: Attempt, pod: Pod | None, failure: Failure) -> Plan:
    """Write the response of a pod that has failed without one."""
    error = StorableError(failure.message, failure.code)
    response = StorableResponse("error", error=error, retryable=False if failure.is_final else None)
    return write(view, WriteRecord(attempt.target, attempt.uid, pod, response, failure.cause))
