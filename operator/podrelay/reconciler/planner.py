"""What happens next to a TaskRun. The whole state machine, and nothing else: no I/O, no clock, no randomness.

`plan(view, now)` is called by the reconcile loop again and again, after every event and every action, and by the
property tests with thousands of random histories. It is level-based: it looks at what is, never at what has just
happened, so a plan that was carried out halfway, or twice, leads to the same end.

Where a run stands is told by three fields of its status: `lastRecord` (the answer that was applied last), `attempts`
and `disruptions` of the iteration after it. From them follows the name of the one pod that is due (`_target`). If that
pod has been made it holds the baton (`_tenure`), and its facts decide (`_hold`); if not, it is made or waited for
(`_start`).
"""

import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec

from podrelay.api import limits, names
from podrelay.api.hooks import ON_ABORT
from podrelay.reconciler import causes, ending, heartbeat, hooks, housekeeping, kinship, retrying, termination
from podrelay.reconciler.conditions import stalled_since, with_conditions
from podrelay.reconciler.objects import (
    FINISHED,
    Current,
    Pod,
    RecentIteration,
    Record,
    RetryPolicy,
    StorableError,
    StorableResponse,
    TaskError,
    TaskRunStatus,
)
from podrelay.reconciler.view import (
    ConfirmChildren,
    ConfirmGone,
    ConfirmLost,
    ConfirmSilent,
    CreatePod,
    Gone,
    OpenGate,
    Plan,
    ReadRecord,
    Target,
    View,
    WriteRecord,
)

_UNKNOWN_PENDING_TIMEOUT: Final = 900
_NOT_CAMEL_CASE: Final = re.compile(r"[^A-Za-z0-9_,:]")


@dataclass(frozen=True, slots=True)
class _Tenure:
    """The pod that holds the baton, as far as it is known: perhaps only its UID, or only its record."""

    target: Target
    uid: str
    pod: Pod | None
    record: Record | None
    gone: Gone | None

    @property
    def has_ended(self) -> bool:
        """Whether the container that does the work cannot run any more."""
        return self.pod.is_released if self.pod is not None else self.gone is not None


def plan(view: View, now: datetime) -> Plan:
    """Return what follows from `view` at the time `now` (aware, UTC)."""
    run = view.run
    if run.metadata.deletion_timestamp is not None:
        return Plan()  # Kubernetes' garbage collection takes pods and records.
    if run.status.phase in FINISHED:
        return hooks.after_the_end(view, now) or housekeeping.after_the_end(view, now)
    following = _unfinished(view, now)
    if following.actions or (following.status is not None and following.status != run.status):
        return following
    return housekeeping.beside(view, now, following)


def _unfinished(view: View, now: datetime) -> Plan:
    descendants = kinship.cascade(view)
    if descendants:
        return Plan(actions=descendants)
    target = _target(view, view.run.status)
    tenure = _tenure(view, target)
    if tenure is not None:
        return _hold(view, now, tenure)
    late = _late_answer(view, target)
    if late is not None and late.record is not None:
        return _apply_answer(view, now, late, late.record)
    return _start(view, now, view.run.status)


# --- whose turn it is ------------------------------------------------------------------------------------------------


def _target(view: View, status: TaskRunStatus) -> Target:
    iteration = names.iteration_of(status.last_record or "") + 1
    try_ = 1 + status.attempts + status.disruptions
    checkpoints = [
        record
        for record in view.records
        if record.iteration == iteration and record.try_ < try_ and record.checkpoint is not None and view.owns(record)
    ]
    newest = max(checkpoints, key=lambda record: record.try_, default=None)
    return Target(
        iteration=iteration,
        try_=try_,
        name=names.pod_name(view.run.metadata.name, iteration, try_),
        state=status.last_record,
        checkpoint=newest.metadata.name if newest else None,
        is_final_attempt=view.definition is None or retrying.is_final(view.definition.spec.retry, status.attempts),
        calls_before_trigger=iteration == 1 and not hooks.called_before(view),
    )


def _tenure(view: View, target: Target) -> _Tenure | None:
    pod = next((pod for pod in view.pods if pod.metadata.name == target.name and view.owns(pod)), None)
    record = _record(view, target.name)
    current = view.run.status.current
    if record is not None:
        # The record is the claim: only one pod can have made it, and none runs user code without. It weighs more than
        # the status, which an operator that lost its Lease may have written about a pod of the same name.
        uid = record.pod_uid
    elif current is not None and (current.iteration, current.try_) == (target.iteration, target.try_):
        uid = current.pod_uid
    elif pod is not None:
        uid = pod.metadata.uid  # made, but the operator died before it could say so in the status
    else:
        return None
    return _Tenure(
        target, uid, pod if pod is not None and pod.metadata.uid == uid else None, record, view.gone.get(uid)
    )


def _record(view: View, name: str) -> Record | None:
    return next((record for record in view.records if record.metadata.name == name and view.owns(record)), None)


def _late_answer(view: View, target: Target) -> _Tenure | None:
    """Return the try that was given up for lost but has answered before its successor was made."""
    for record in view.records:
        if record.iteration != target.iteration or record.try_ >= target.try_ or not view.owns(record):
            continue
        if record.response is not None and record.response.status != "error":
            earlier = replace(target, try_=record.try_, name=record.metadata.name)
            return _Tenure(earlier, record.pod_uid, None, record, view.gone.get(record.pod_uid))
    return None


# --- a pod is due: make it, or say what it waits for ------------------------------------------------------------------


def _start(view: View, now: datetime, status: TaskRunStatus) -> Plan:
    """Make the next pod; `status` tells where the run stands, and is written once the pod exists."""
    target = _target(view, status)
    pod = next((pod for pod in view.pods if pod.metadata.name == target.name), None)
    if pod is not None and view.owns(pod):
        return Plan(status=_running(view, now, status, target, pod))
    abort = view.run.spec.abort
    if abort is not None:
        return _finish(view, now, status, "Aborted", "Aborted", abort.message or "Task aborted.")
    held = _held_by_family(view, now, status, target)
    if held is not None:
        return held
    due = _due(view, status)
    if due is not None and due > now:
        return _wait(view, now, status, _reason_of_wait(status), f"next pod at {_clock(due)}", due)
    if view.run.spec.suspend:
        return _wait(view, now, status, "Suspended", "set spec.suspend to false to go on", None)
    if view.definition is None:
        name = view.run.spec.definition
        return _stall(
            view, now, status, "DefinitionNotFound", f'there is no TaskDefinition "{name}" in this namespace; create it'
        )
    if pod is not None or any(r.metadata.name == target.name and not view.owns(r) for r in view.records):
        message = f"{target.name} exists already and does not belong to this run; delete it"
        return _stall(view, now, status, "NameTaken", message)
    if target.state is not None and target.checkpoint is None and _record(view, target.state) is None:
        if target.state not in view.lost_records:
            return Plan(actions=(ConfirmLost(target.state),))
        lost = f"TaskIteration {target.state}, which held the input of iteration {target.iteration}, has been deleted"
        return _finish(view, now, status, "Failed", "StateLost", lost, error=TaskError(lost, "StateLost"))
    refusal = view.refusal
    if refusal is not None and refusal.name == target.name and refusal.retry_at > now:
        return _stall(view, now, status, refusal.reason, refusal.message, refusal.since, refusal.retry_at)
    unconfirmed = _unconfirmed_try(view, target)
    if unconfirmed is not None:
        return Plan(actions=(ReadRecord(unconfirmed),))
    return Plan(actions=(CreatePod(target),))


def _unconfirmed_try(view: View, target: Target) -> str | None:
    """Return the try before this one where it is not certain yet that it has left no answer."""
    if target.try_ == 1:
        return None
    before = names.pod_name(view.run.metadata.name, target.iteration, target.try_ - 1)
    record = _record(view, before)
    # Pods and records have a watch each: the end of a pod may be seen long before its answer.
    is_open = (record is None or record.response is None) and before not in view.settled
    return before if is_open else None


def _held_by_family(view: View, now: datetime, status: TaskRunStatus, target: Target) -> Plan | None:
    """Say what keeps a child from beginning, or a parent from going on; None where nothing does."""
    obstacle = kinship.obstacle(view, status)
    if obstacle is not None:
        error = TaskError(obstacle.message, obstacle.reason)
        return _finish(view, now, status, "Failed", obstacle.reason, obstacle.message, error=error)
    record = _record(view, target.state) if target.state is not None and target.try_ == 1 else None
    awaited = record.response.wait_for_children if record is not None and record.response is not None else None
    if record is None or awaited is None:
        return None
    if view.children.known_since != record.metadata.name:
        return Plan(actions=(ConfirmChildren(record.metadata.name),))
    count = kinship.unfinished(view, awaited)
    if not count:
        return None
    message = kinship.waiting_message(view, status, awaited, count)
    # Nothing is planned for a time: the store marks the run when the last of them has ended or gone.
    return Plan(status=_wait(view, now, status, kinship.WAITING, message, status.next_iteration_at).status)


def _due(view: View, status: TaskRunStatus) -> datetime | None:
    if status.next_iteration_at is not None or status.current is not None or status.last_record is not None:
        return status.next_iteration_at
    spec = view.run.spec
    if spec.delay_seconds:
        return view.run.metadata.creation_timestamp + timedelta(seconds=spec.delay_seconds)
    return spec.start_at


def _reason_of_wait(status: TaskRunStatus) -> str:
    if status.attempts:
        return "Retrying"
    if status.disruptions:
        return "Disrupted"
    return "Waiting" if status.last_record else "Delayed"


def _wait(view: View, now: datetime, status: TaskRunStatus, reason: str, message: str, until: datetime | None) -> Plan:
    phase = status.phase or "Pending"
    shown = _shown(view, now, status, phase, reason, message, current=None, next_iteration_at=until)
    return Plan(status=shown, requeue_at=until)


def _stall(
    view: View,
    now: datetime,
    status: TaskRunStatus,
    reason: str,
    message: str,
    since: datetime | None = None,
    retry_at: datetime | None = None,
    current: Current | None = None,
) -> Plan:
    """Say that nothing can go on, and why; fail when it has lasted for pendingTimeoutSeconds.

    `current` is the pod whose end is not dealt with yet, if there is one: it must not be made again.
    """
    seconds = view.definition.spec.pending_timeout_seconds if view.definition else _UNKNOWN_PENDING_TIMEOUT
    began = stalled_since(view.run.status, _camel(reason)) or since or now
    deadline = began + timedelta(seconds=seconds)
    if now >= deadline:
        if view.run.spec.abort is not None:
            return _finish(view, now, status, "Aborted", reason, message)
        what = "no pod could be started within" if current is None else "it could not go on for"
        failed = f"{what} {seconds} s: {message}"
        return _finish(view, now, status, "Failed", reason, failed, error=TaskError(failed, _camel(reason)))
    phase = status.phase or "Pending"
    shown = _shown(view, now, status, phase, reason, message, stalled=True, current=current, next_iteration_at=None)
    return Plan(status=shown, requeue_at=min(deadline, retry_at) if retry_at else deadline)


def _definition_gone(view: View, now: datetime, what: str) -> Plan:
    """Wait for the definition, which alone says whether there is another try."""
    name = view.run.spec.definition
    message = f'{what}; the TaskDefinition "{name}" is gone, create it again so that its retry policy can be applied'
    status = view.run.status
    return _stall(view, now, status, "DefinitionNotFound", message, current=status.current)


# --- a pod holds the baton --------------------------------------------------------------------------------------------


def _hold(view: View, now: datetime, tenure: _Tenure) -> Plan:
    pod, record = tenure.pod, tenure.record
    if pod is None and tenure.gone is None:
        return Plan(actions=(ConfirmGone(tenure.target.name, tenure.uid),))
    if view.run.spec.abort is not None:
        return _abort(view, now, tenure, view.run.spec.abort.message)
    if record is not None and record.response is not None:
        return _answered(view, now, tenure, record)
    if pod is None:
        return _lost(view, now, tenure)
    if pod.metadata.deletion_timestamp is not None:
        return _terminating(view, now, tenure, pod)
    if pod.is_released:
        return _ended_without_answer(view, now, tenure, pod)
    if pod.has_started:
        return _working(view, now, tenure, pod)
    return _pending(view, now, tenure, pod)


def _answered(view: View, now: datetime, tenure: _Tenure, record: Record) -> Plan:
    following = _apply_answer(view, now, tenure, record)
    if tenure.has_ended or hooks.follow(following.status, view.definition):
        return following  # a pod that is to call hooks waits for the final phase: they come after it
    assert tenure.pod is not None  # noqa: S101 - a pod that is gone has ended
    overdue = (record.finished_at or now) + view.settings.answer_grace
    if now >= overdue:
        return _ending(view, now, tenure, tenure.pod)
    status = _running(view, now, view.run.status, tenure.target, tenure.pod)
    return Plan(status=status, requeue_at=overdue)


def _pending(view: View, now: datetime, tenure: _Tenure, pod: Pod) -> Plan:
    deadline = pod.pending_deadline
    if now >= deadline:
        return _ending(view, now, tenure, pod)
    if pod.is_unclaimed and _is_current(view, pod):
        return Plan(actions=(OpenGate(pod),))
    problem = causes.pending_problem(pod)
    status = _running(view, now, view.run.status, tenure.target, pod)
    if problem is not None:
        status = _shown(view, now, status, "Running", problem.reason, problem.message, stalled=True)
    return Plan(status=status, requeue_at=deadline)


def _is_current(view: View, pod: Pod) -> bool:
    current = view.run.status.current
    return current is not None and current.pod_uid == pod.metadata.uid


def _working(view: View, now: datetime, tenure: _Tenure, pod: Pod) -> Plan:
    started = (pod.task.running.started_at if pod.task.running else None) or pod.metadata.creation_timestamp
    deadline = started + timedelta(seconds=int(pod.metadata.annotations.iteration_timeout))
    if now >= deadline or pod.metadata.annotations.ending_since is not None:
        return _ending(view, now, tenure, pod)
    silent_at = heartbeat.deadline(pod, tenure.record, started)
    if silent_at is not None and now >= silent_at:
        return _silent(view, now, tenure, pod)
    status = _running(view, now, view.run.status, tenure.target, pod)
    requeue = min(deadline, silent_at) if silent_at is not None else deadline
    progress = tenure.record.progress if tenure.record else None
    if progress is not None and progress != status.progress:
        shown_at = status.progress.at if status.progress else None
        due = shown_at + view.settings.progress_interval if shown_at else now
        if now >= due:
            status = msgspec.structs.replace(status, progress=progress)
        else:
            requeue = min(requeue, due)
    return Plan(status=status, requeue_at=requeue)


def _silent(view: View, now: datetime, tenure: _Tenure, pod: Pod) -> Plan:
    """The pod has given no sign of life for too long, as far as is known: make sure, then end it."""
    last, silence = tenure.record.heartbeat_at if tenure.record else None, view.silence
    if silence is None or (silence.record, silence.heartbeat_at) != (tenure.target.name, last):
        return Plan(actions=(ConfirmSilent(tenure.target.name, last),))
    believed_at = silence.confirmed_at + view.settings.silence_grace
    if now < believed_at:
        return Plan(status=_running(view, now, view.run.status, tenure.target, pod), requeue_at=believed_at)
    return _ending(view, now, tenure, pod, heartbeat.ENDING_REASON)


def _terminating(view: View, now: datetime, tenure: _Tenure, pod: Pod) -> Plan:
    """Somebody deletes the pod. It may still answer, and it is not replaced before it is gone."""
    return _ending(view, now, tenure, pod)


def _ended_without_answer(view: View, now: datetime, tenure: _Tenure, pod: Pod) -> Plan:
    answer = termination.answer_of(pod)
    if pod.task.terminated is not None and not pod.is_terminal and (answer is None or termination.is_silent(pod)):
        # Whether it was the node's doing, the kubelet says only with the pod's phase, a second or two later.
        settled = (pod.task.terminated.finished_at or now) + view.settings.answer_grace
        if now < settled:
            return Plan(status=_running(view, now, view.run.status, tenure.target, pod), requeue_at=settled)
    if answer is not None:
        return _write(view, now, WriteRecord(tenure.target, tenure.uid, pod, answer))
    disruption = causes.disruption_of(pod)
    if disruption is not None:
        may_still_run = causes.is_left_behind(pod)
        return _disrupted(view, now, tenure, disruption, now + view.settings.force_gone_grace if may_still_run else now)
    return _write_failure(view, now, tenure, pod, causes.failure_of(pod))


def _lost(view: View, now: datetime, tenure: _Tenure) -> Plan:
    """The pod is gone and left no answer."""
    assert tenure.gone is not None  # noqa: S101 - _hold has asked before
    last = tenure.gone.last
    answer = termination.answer_of(last) if last is not None else None
    if answer is not None:
        return _write(view, now, WriteRecord(tenure.target, tenure.uid, last, answer))
    if last is not None and last.metadata.annotations.ending_since is not None:
        failure = causes.timeout(last)
    elif last is not None and not last.has_started and last.pending_deadline <= now:
        failure = causes.pending_timeout(last, _shown_problem(view.run.status))
    else:
        safe = (
            last is not None
            and not causes.is_left_behind(last)
            and (last.is_released or (tenure.gone.is_last_state and not last.has_started))
        )
        not_before = tenure.gone.at if safe else tenure.gone.at + view.settings.force_gone_grace
        return _disrupted(view, now, tenure, f"pod {tenure.target.name} was deleted", not_before)
    return _write_failure(view, now, tenure, last, failure)


def _write_failure(view: View, now: datetime, tenure: _Tenure, pod: Pod | None, failure: causes.Failure) -> Plan:
    response = StorableResponse("error", error=StorableError(failure.message, failure.code))
    return _write(view, now, WriteRecord(tenure.target, tenure.uid, pod, response, failure.cause))


def _write(view: View, now: datetime, action: WriteRecord) -> Plan:
    """Have the record written, unless it was refused a moment ago: then say so."""
    refusal, status = view.refusal, view.run.status
    if refusal is None or refusal.name != action.target.name or refusal.retry_at <= now:
        return Plan(actions=(action,))
    return _stall(
        view, now, status, refusal.reason, refusal.message, refusal.since, refusal.retry_at, current=status.current
    )


def _shown_problem(status: TaskRunStatus) -> causes.Problem | None:
    stalled = status.condition("Stalled")
    if stalled is None or stalled.status != "True":
        return None
    return causes.Problem(stalled.reason, stalled.message)


def _disrupted(view: View, now: datetime, tenure: _Tenure, message: str, not_before: datetime) -> Plan:
    """The cluster, not the task, ended the pod: the same iteration again, not counted as an attempt."""
    status = view.run.status
    if view.definition is None:
        return _definition_gone(view, now, message)
    allowed = view.definition.spec.disruption_retries
    recent = _remember(status, tenure, "disrupted", message, now)
    if status.disruptions >= allowed:
        failed = f"{message}; this iteration has lost {status.disruptions + 1} pods, disruptionRetries allows {allowed}"
        status = msgspec.structs.replace(status, recent_iterations=recent)
        return _finish(view, now, status, "Failed", "Disrupted", failed, error=TaskError(failed, "Disrupted"))
    following = msgspec.structs.replace(
        status,
        disruptions=status.disruptions + 1,
        next_iteration_at=not_before if not_before > now else None,
        current=None,
        recent_iterations=recent,
    )
    return _start(view, now, following)


# --- an answer is applied ---------------------------------------------------------------------------------------------


def _apply_answer(view: View, now: datetime, tenure: _Tenure, record: Record) -> Plan:
    response = record.response
    assert response is not None  # noqa: S101 - the caller has looked
    message = response.message or ""
    target = tenure.target
    status = msgspec.structs.replace(
        view.run.status,
        # A pod may answer before the status has named it; hooks depend on who may still call them.
        current=Current(target.iteration, target.try_, target.name, tenure.uid),
        started_at=view.run.status.started_at or _seconds(record.started_at),
        # A pod that never started has called run() as little as one that was never made.
        iterations=record.iteration if record.started_at else record.iteration - 1,
        progress=record.progress or view.run.status.progress,
        hooks=hooks.merged(view.run.status.hooks, [record]),
        recent_iterations=_remember(view.run.status, tenure, response.status, message or _error_message(record), now),
    )
    if response.refusal is not None:
        return _refused(view, now, status, record, response.refusal)
    match response.status:
        case "done":
            return _finish(view, now, status, "Succeeded", "Done", message or "Task done.", record=record)
        case "aborted":
            return _finish(view, now, status, "Aborted", "AbortedByTask", message or "Task aborted.", record=record)
        case "continue":
            return _continue(view, now, status, record)
        case _:
            return _failed_try(view, now, status, record)


def _continue(view: View, now: datetime, status: TaskRunStatus, record: Record) -> Plan:
    allowed = view.definition.spec.max_iterations if view.definition else status.max_iterations
    if allowed is not None and record.iteration >= allowed:
        error = TaskError("Task reached max iterations.", "MaxIterations")
        return _finish(view, now, status, "Failed", "MaxIterations", error.message, record=record, error=error)
    response = record.response
    assert response is not None  # noqa: S101 - the caller has looked
    answered = record.finished_at or now
    due = response.wait_until
    if response.wait_seconds:
        due = answered + timedelta(seconds=response.wait_seconds)
    if due is not None:
        due = min(due, answered + timedelta(seconds=limits.MAX_WAIT_SECONDS))
    following = msgspec.structs.replace(
        status,
        last_record=record.metadata.name,
        attempts=0,
        disruptions=0,
        current=None,
        next_iteration_at=due if due is not None and due > now else None,
    )
    return _start(view, now, following)


def _refused(view: View, now: datetime, status: TaskRunStatus, record: Record, refusal: str) -> Plan:
    """The run was turned away before its task was called; another try would be turned away, too."""
    status = msgspec.structs.replace(status, iterations=record.iteration - 1)
    error = _error_of(record)
    return _finish(view, now, status, "Failed", refusal, error.message, record=record, error=error)


def _failed_try(view: View, now: datetime, status: TaskRunStatus, record: Record) -> Plan:
    cause = record.metadata.annotations.cause or causes.ERROR
    response, error = record.response, _error_of(record)
    assert response is not None  # noqa: S101 - the caller has looked
    if view.definition is None and not retrying.is_ruled_out(response):
        return _definition_gone(view, now, f"iteration {record.iteration} failed: {error.message}")
    policy = view.definition.spec.retry if view.definition else RetryPolicy()
    if not retrying.is_allowed(policy, status.attempts, cause, response):
        reason = (error.code if cause != causes.ERROR else None) or "TaskFailed"
        return _finish(view, now, status, "Failed", reason, error.message, record=record, error=error)
    pause = retrying.pause_seconds(policy, status.attempts, response)
    due = (record.finished_at or now) + timedelta(seconds=pause)
    following = msgspec.structs.replace(
        status,
        attempts=status.attempts + 1,
        current=None,
        next_iteration_at=due if due > now else None,
        error=error,
    )
    return _start(view, now, following)


def _finish(
    view: View,
    now: datetime,
    status: TaskRunStatus,
    phase: str,
    reason: str,
    message: str,
    *,
    record: Record | None = None,
    error: TaskError | None = None,
) -> Plan:
    final = _shown(
        view,
        now,
        status,
        phase,
        reason,
        message,
        iterations=status.iterations or 0,
        finished_at=_seconds(now),
        next_iteration_at=None,
        error=TaskError(limits.cut(error.message, limits.MESSAGE_LENGTH), error.code) if error else None,
    )
    has_result = record is not None and record.response is not None and record.response.has_result
    return Plan(status=final, payload_from=record.metadata.name if record is not None and has_result else None)


# --- a pod is ended ---------------------------------------------------------------------------------------------------


def _abort(view: View, now: datetime, tenure: _Tenure, message: str | None) -> Plan:
    """Aborted is what the run becomes whatever the pod still answers; the pod gets time to clean up."""
    words = message or "Task aborted."
    record = tenure.record
    has_answered = record is not None and record.response is not None
    calls_hook = has_answered and ON_ABORT in hooks.declared(view.definition)  # as soon as it reads Aborted
    if not tenure.has_ended and not calls_hook:
        assert tenure.pod is not None  # noqa: S101 - a pod that is gone has ended
        return _ending(view, now, tenure, tenure.pod)
    pod = tenure.pod or (tenure.gone.last if tenure.gone else None)
    # A pod that reports by message has no record before this one. Another one's end may be seen before its record, as
    # each has a watch of its own; it is read before it is written.
    is_unseen = record is None and pod is not None and pod.has_started
    if is_unseen or (record is not None and record.response is None):
        answer = termination.answer_of(pod) if pod is not None else None
        response = StorableResponse("aborted", message=words, output=answer.output if answer else None)
        return _write(view, now, WriteRecord(tenure.target, tenure.uid, pod, response))
    status = view.run.status
    if record is not None:
        target = tenure.target
        status = msgspec.structs.replace(
            status,
            current=Current(target.iteration, target.try_, target.name, tenure.uid),
            started_at=status.started_at or _seconds(record.started_at),
            iterations=record.iteration,
            progress=record.progress or status.progress,
            hooks=hooks.merged(status.hooks, [record]),
            recent_iterations=_remember(status, tenure, "aborted", words, now),
        )
    return _finish(view, now, status, "Aborted", "Aborted", words, record=record)


def _ending(view: View, now: datetime, tenure: _Tenure, pod: Pod, why: str | None = None) -> Plan:
    """Bring the pod to its end, step by step; the view tells which step it is at. `why` is noted on the pod."""
    step = ending.next_step(pod, now, view.settings.answer_grace, why)
    if step.action is not None:
        return Plan(actions=(step.action,))
    if step.is_lost:
        return _node_lost(view, now, tenure, pod, step.due or now)
    deleted = pod.metadata.deletion_timestamp
    if deleted is not None and not pod.has_started:
        return Plan(status=view.run.status, requeue_at=step.due)  # what keeps it from starting stays shown
    aborting = view.run.spec.abort is not None
    reason = "Aborting" if aborting else "PodTerminating" if deleted else "PodEnding"
    message = f"pod {pod.metadata.name} has {pod.spec.termination_grace_period_seconds} s to clean up"
    status = _running(view, now, view.run.status, tenure.target, pod)
    status = _shown(view, now, status, "Running", reason, message)
    return Plan(status=status, requeue_at=step.due)


def _node_lost(view: View, now: datetime, tenure: _Tenure, pod: Pod, since: datetime) -> Plan:
    """The pod does not go although its time is over. Finishing starts nothing, so it is safe even if it still runs."""
    deadline = since + timedelta(seconds=int(pod.metadata.annotations.node_lost_timeout))
    message = (
        f"pod {pod.metadata.name} on node {pod.spec.node_name} does not end; look after the node, or, if it is "
        "certainly off, taint it node.kubernetes.io/out-of-service"
    )
    status = _running(view, now, view.run.status, tenure.target, pod)
    if now >= deadline:
        if view.run.spec.abort is not None:
            return _finish(view, now, status, "Aborted", "NodeLost", message)
        return _finish(view, now, status, "Failed", "NodeLost", message, error=TaskError(message, "NodeLost"))
    status = _shown(view, now, status, "Running", "NodeLost", message, stalled=True)
    return Plan(status=status, requeue_at=deadline)


# --- the status that is shown -----------------------------------------------------------------------------------------


def _running(view: View, now: datetime, status: TaskRunStatus, target: Target, pod: Pod) -> TaskRunStatus:
    allowed = view.definition.spec.max_iterations if view.definition else status.max_iterations
    of = f" of at most {allowed}" if allowed else ""
    attempt = f", try {target.try_}" if target.try_ > 1 else ""
    return _shown(
        view,
        now,
        status,
        "Running",
        "IterationRunning",
        f"iteration {target.iteration}{of}{attempt} in pod {target.name}",
        iterations=target.iteration,
        max_iterations=allowed,
        started_at=status.started_at or _seconds(now),
        next_iteration_at=None,
        current=Current(target.iteration, target.try_, target.name, pod.metadata.uid),
    )


def _shown(
    view: View,
    now: datetime,
    status: TaskRunStatus,
    phase: str,
    reason: str,
    message: str,
    *,
    stalled: bool = False,
    **changes: Any,
) -> TaskRunStatus:
    changed = msgspec.structs.replace(
        status,
        phase=phase,
        reason=_camel(reason),
        message=limits.cut(message, limits.MESSAGE_LENGTH),
        observed_generation=view.run.metadata.generation,
        **changes,
    )
    return with_conditions(changed, _seconds(now), stalled=stalled)


def _remember(
    status: TaskRunStatus, tenure: _Tenure, answer: str, message: str, now: datetime
) -> tuple[RecentIteration, ...]:
    pod, record = tenure.pod, tenure.record
    entry = RecentIteration(
        iteration=tenure.target.iteration,
        try_=tenure.target.try_,
        pod_name=tenure.target.name,
        answer=answer,
        started_at=_seconds(record.started_at if record else _started_at(pod)),
        finished_at=_seconds((record.finished_at if record else None) or _ended_at(pod) or now),
        message=limits.cut(message, limits.RECENT_MESSAGE_LENGTH) or None,
    )
    return (entry, *status.recent_iterations)[: limits.RECENT_ITERATIONS]


def _error_message(record: Record) -> str:
    error = record.response.error if record.response else None
    return error.message if error else ""


def _error_of(record: Record) -> TaskError:
    stated = record.response.error if record.response else None
    return TaskError(stated.message, stated.code) if stated else TaskError("Task failed.")


def _started_at(pod: Pod | None) -> datetime | None:
    terminated = pod.task.terminated if pod else None
    return terminated.started_at if terminated else None


def _ended_at(pod: Pod | None) -> datetime | None:
    terminated = pod.task.terminated if pod else None
    return terminated.finished_at if terminated else None


def _camel(reason: str) -> str:
    """Return `reason` as a condition's reason may be written; other people's words may hold anything."""
    return _NOT_CAMEL_CASE.sub("", reason).lstrip("0123456789_,:")[:127].rstrip(",:") or "Unknown"


def _clock(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def _parse(moment: str | None) -> datetime | None:
    return datetime.fromisoformat(moment) if moment else None


def _seconds(moment: Any) -> Any:
    """Return the time cut to whole seconds, as Kubernetes writes times."""
    return moment.replace(microsecond=0) if moment is not None else None
