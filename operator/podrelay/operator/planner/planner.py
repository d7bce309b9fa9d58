"""Decides what happens next to a TaskRun: the whole state machine, without I/O, clock or randomness.

The reconciler calls `plan(view)` after every event and every action, and the property tests call it with thousands of
random histories. It is level-based: it considers the current state, never the last event, so a plan that
was carried out partly, or twice, leads to the same result.

Three fields of the status define the progress of a run: `lastRecord` (the answer that was applied last), and `attempts`
and `disruptions` of the iteration after it. They determine the name of the one pod that is due (`due_pod`). If that pod
has been created, it is the current attempt, and its state decides (`_hold`; `answers` once it has answered, `aborts`
if the run is aborted). Otherwise it is created, or the run waits (`starting`). `statuses` builds the resulting status.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from podrelay.api import protocol
from podrelay.api.phases import FINISHED
from podrelay.operator import object_rules
from podrelay.operator.objects.answers import TaskError
from podrelay.operator.objects.records import Record
from podrelay.operator.objects.runs import TaskRunStatus
from podrelay.operator.plan import (
    ClaimRecord,
    ConfirmAbsent,
    ConfirmGone,
    ConfirmSilent,
    ConsumeSignals,
    DeletePod,
    OpenGate,
    Plan,
    ReadInput,
    ReleasePod,
    ReturnSlot,
    Target,
    WriteRecord,
)
from podrelay.operator.planner import (
    aborts,
    admission,
    ahead,
    answers,
    children,
    coalescing,
    due_pod,
    ending,
    failures,
    garbage_collection,
    heartbeat,
    hooks,
    late_creations,
    responses,
    restored_runs,
    signals,
    starting,
    statuses,
    termination_message,
)
from podrelay.operator.planner.due_pod import Attempt
from podrelay.operator.pods import Pod
from podrelay.operator.view import View

_VOLUMES_COME: Final = timedelta(seconds=30)
"""A pod whose volumes take longer may wait for a missing Secret; only an Event of its kubelet says so."""


def plan(view: View) -> Plan:
    """Return what to do next, according to `view`."""
    run = view.run
    left = garbage_collection.of_a_former_run([pod for pod in view.pods if _is_of_a_former_run(view, pod)])
    if left:
        return Plan(actions=left)
    if run.metadata.deletion_timestamp is not None:
        return _deleted(view)
    if run.status.phase in FINISHED:
        if run.is_incomplete:
            return Plan()
        of_hooks = hooks.after_the_end(view)
        return _while_hooks_are_pending(view, of_hooks) if of_hooks else garbage_collection.after_the_end(view)
    following, is_delayed = coalescing.coalesce(view, _unfinished)
    if is_delayed:
        return following
    if admission.gives_back_slot(view, following):
        return Plan(actions=(ReturnSlot(),))
    if following.actions or (following.status is not None and following.status != run.status):
        return following
    return garbage_collection.during_run(view, following)


def plan_without_run(pods: Sequence[Pod]) -> Plan:
    """Return the plan for pods whose TaskRun no longer exists: release them for garbage collection."""
    return Plan(actions=garbage_collection.of_a_former_run(pods))


def _is_of_a_former_run(view: View, pod: Pod) -> bool:
    current = view.run.status.current
    if pod.metadata.owner_run() is None:
        # It may have lost its owner in a backup. The pod that the status names gets its owner back.
        return current is None or current.pod_uid != pod.metadata.uid
    return not view.owns(pod)


def _unfinished(view: View) -> Plan:
    held = restored_runs.held(view)
    if held is not None:
        return held
    target = due_pod.due_target(view, view.run.status)
    attempt = due_pod.attempt_of(view, target)
    if attempt is not None:
        if admission.lacks_value(view):
            return Plan(actions=(ReadInput(),))  # the limit was added after the pod, or the operator died in between
        return _with_descendants(view, _hold(view, attempt))
    late = due_pod.late_answer(view, target) if view.run.spec.abort is None else None
    if late is not None and late.record is not None:
        consume = signals.to_consume(view, late.record)
        following = Plan(actions=(consume,)) if consume is not None else answers.apply_answer(view, late, late.record)
    else:
        following = starting.start(view, view.run.status)
    if following.status is not None and following.status.current is None and not following.actions:
        spare = ahead.given_back(view, following.status)
        if spare:
            return Plan(actions=spare)
    if following.status is not None and following.status.phase in FINISHED:
        if _may_exist(view, target):
            # Another operator may have just created the pod; its watch event may arrive after what finishes the run.
            return Plan(actions=(ConfirmAbsent(target.name),))
        if not due_pod.is_taken(view, target) and (wait := _until_none_may_appear(view, target.name)) is not None:
            return wait
    return _with_descendants(view, following)


def _may_exist(view: View, target: Target) -> bool:
    """Return whether another operator may have created the pod `target`, which is not in the cache."""
    return view.absent != target.name and not due_pod.is_taken(view, target)


def _until_none_may_appear(view: View, name: str) -> Plan | None:
    """Wait until no earlier request can create the pod of a run that ends without it; None if none can."""
    until = late_creations.may_appear_until(view)
    if until is None:
        return None
    message = f"an earlier request may still create pod {name}, until {statuses.clock(until)}"
    status = statuses.show(
        view, view.run.status, view.run.status.phase or "Pending", object_rules.POD_UNCERTAIN, message
    )
    return Plan(status=status, requeue_at=until)


def _while_hooks_are_pending(view: View, following: Plan) -> Plan:
    """Return `following`; if its hooks only wait, release the pods and abort the children meanwhile."""
    if following.actions or following.status is not None:
        return following
    left = garbage_collection.while_hooks_are_pending(view)
    return Plan(actions=left) if left else _with_descendants(view, following)


def _with_descendants(view: View, following: Plan) -> Plan:
    """Return `following`, or, if the run's own pod and status need nothing, the aborts of its children."""
    if following.actions or (following.status is not None and following.status != view.run.status):
        return following
    descendants = children.cascade(view)
    return Plan(actions=descendants) if descendants else following


def _deleted(view: View) -> Plan:
    """The run is being deleted, but a finalizer keeps it: start nothing new, and end what is running."""
    if admission.has_working_pod(view) and admission.lacks_value(view) and view.run.status.phase not in FINISHED:
        return Plan(actions=(ReadInput(),))  # while its value is unknown, no run of its definition gets a slot
    actions, requeue = garbage_collection.end_all(view)
    if actions or view.run.status.phase in FINISHED:
        return Plan(actions, requeue_at=requeue)
    target = due_pod.due_target(view, view.run.status)
    attempt = due_pod.attempt_of(view, target)
    if attempt is not None and attempt.pod is None and attempt.gone is None:
        return Plan(actions=(ConfirmGone(target.name, attempt.uid),))
    if requeue is not None or (attempt is not None and not attempt.has_ended):
        phase = view.run.status.phase or "Pending"
        message = "the TaskRun is being deleted; its pod must end first"
        status = statuses.show(view, view.run.status, phase, "Deleting", message)
        return Plan(status=status, requeue_at=requeue)
    unseen = _unseen_successor(view, attempt) if attempt is not None else None
    if unseen is not None:
        return unseen
    if attempt is None and _may_exist(view, target):
        return Plan(actions=(ConfirmAbsent(target.name),))
    wait = _until_none_may_appear(view, target.name) if attempt is None else None
    if wait is not None:
        return wait
    return statuses.finish(view, view.run.status, "Aborted", "Deleted", "the TaskRun was deleted before it finished")


def _hold(view: View, attempt: Attempt) -> Plan:
    pod, record = attempt.pod, attempt.record
    if pod is None and attempt.gone is None:
        return Plan(actions=(ConfirmGone(attempt.target.name, attempt.uid),))
    if pod is not None and coalescing.must_be_claimed(view, attempt, pod):
        return Plan(status=statuses.running(view, view.run.status, attempt.target, pod))
    consume = _signals_of(view, attempt)
    if consume is not None:
        return Plan(actions=(consume,))
    if view.run.spec.abort is not None and not _is_succeeded(view, attempt):
        return _abort(view, attempt, view.run.spec.abort.message)
    if record is not None and record.response is not None:
        if not due_pod.is_known_to_have_been(view, attempt):
            return _foreign_record(view, attempt)
        return _answered(view, attempt, record)
    if pod is None:
        return _lost(view, attempt)
    if record is not None and protocol.is_too_old(record.protocol) and not pod.is_released:
        return ending.end(view, attempt, pod, protocol.UNSUPPORTED_RUNNER)
    if pod.is_released:
        return _ended_without_answer(view, attempt, pod)
    if pod.metadata.deletion_timestamp is not None:
        return ending.end(view, attempt, pod)  # it may still answer; it is replaced only after it has ended
    if pod.has_started:
        return _working(view, attempt, pod)
    return _pending(view, attempt, pod)


def _abort(view: View, attempt: Attempt, message: str | None) -> Plan:
    """Abort the run, once it is certain that no other operator has created the pod after `attempt`."""
    following = aborts.abort(view, attempt, message)
    status = following.status
    # A pod that a live read has just found, on a lost node, has none after it.
    is_end = status is not None and status.phase in FINISHED and status.reason != "NodeLost"
    is_end |= any(isinstance(action, WriteRecord) for action in following.actions)
    return (_unseen_successor(view, attempt) if is_end else None) or following


def _is_succeeded(view: View, attempt: Attempt) -> bool:
    """Return whether the pod after `attempt` exists: it may work, and an abort has to end that one.

    It was created after the end of `attempt`, which may not have been seen yet, unless it was created ahead.
    """
    name = due_pod.following_name(view, attempt)
    return any(
        pod.metadata.name == name and view.owns(pod) and pod.metadata.annotations.after is None for pod in view.pods
    )


def _unseen_successor(view: View, attempt: Attempt) -> Plan | None:
    """Find out whether there is, or will be, a pod after `attempt` that another operator has created; None if known."""
    name = due_pod.following_name(view, attempt)
    if name is None or due_pod.is_there(view, name):
        return None
    if view.absent != name:
        return Plan(actions=(ConfirmAbsent(name),))
    # If this leader has ended the pod itself, no former one can have replaced it.
    return _until_none_may_appear(view, name) if view.seen_alive != attempt.uid else None


def _signals_of(view: View, attempt: Attempt) -> ConsumeSignals | None:
    """Return the action that marks the signals that the answer of `attempt` has consumed; None if nothing is left."""
    if attempt.record is None or not due_pod.is_known_to_have_been(view, attempt):
        return None
    return signals.to_consume(view, attempt.record)


def _answered(view: View, attempt: Attempt, record: Record) -> Plan:
    following = answers.apply_answer(view, attempt, record)
    if ahead.may_release(view, attempt, record, following):
        return following
    if attempt.has_ended or object_rules.hooks_follow(following.status) or _is_succeeded(view, attempt):
        return following  # a pod that has to call hooks waits for the final phase before it does so
    assert attempt.pod is not None  # noqa: S101 - a pod that is gone has ended
    create = ahead.next_after_answer(view, attempt, record, following)
    if create is not None:
        return Plan(actions=(create,))
    overdue = view.answered_at(attempt.pod, record) + view.settings.answer_grace
    if view.now >= overdue:
        return ending.end(view, attempt, attempt.pod)
    status = statuses.running(view, view.run.status, attempt.target, attempt.pod)
    return Plan(status=status, requeue_at=overdue)


def _foreign_record(view: View, attempt: Attempt) -> Plan:
    """Reject a forged answer. Usually admission prevents it, because a pod may only write its own record."""
    message = (
        f"TaskIteration {attempt.target.name} has the answer of a pod with the UID {attempt.uid}, which this run has "
        "never had; find out which client wrote it, and delete it"
    )
    return statuses.stall(view, view.run.status, "ForeignRecord", message)


def _pending(view: View, attempt: Attempt, pod: Pod) -> Plan:
    deadline = view.must_start_by(pod)
    if view.now >= deadline:
        return ending.end(view, attempt, pod)
    if pod.is_unclaimed and object_rules.is_named(view.run.status, pod):
        return Plan(actions=(OpenGate(pod),))
    problem = failures.pending_problem(pod)
    if problem is None and view.run.spec.secret is not None and failures.waits_for_volumes(pod):
        overdue = pod.metadata.creation_timestamp + _VOLUMES_COME
        if view.now >= overdue:
            problem = failures.secret_missing(pod, view.run.spec.secret)
        else:
            deadline = min(deadline, overdue)
    if problem is not None and _is_outdated(view, pod):
        return Plan(actions=(DeletePod(pod.metadata.name, pod.metadata.uid, pod.metadata.resource_version),))
    status = statuses.running(view, view.run.status, attempt.target, pod)
    if problem is not None:
        status = statuses.show(view, status, "Running", problem.reason, problem.message, stalled=True)
    return Plan(status=status, requeue_at=deadline)


def _is_outdated(view: View, pod: Pod) -> bool:
    """Return whether the template has changed since the pod was created; unknown for pods of an older operator."""
    made_from = pod.metadata.annotations.template_hash
    return (
        made_from is not None
        and view.definition is not None
        and made_from != object_rules.template_hash(view.definition)
    )


def _working(view: View, attempt: Attempt, pod: Pod) -> Plan:
    deadline = view.started_at(pod) + timedelta(seconds=int(pod.metadata.annotations.iteration_timeout))
    if view.now >= deadline or pod.metadata.annotations.ending_since is not None:
        return ending.end(view, attempt, pod)
    silent_at = heartbeat.deadline(pod, view.heartbeat, view.heartbeats_since(pod))
    if silent_at is not None and view.now >= silent_at:
        return _silent(view, attempt, pod)
    create, standby_at = ahead.standby(view, attempt, attempt.target)
    if create is not None:
        return Plan(actions=(create,))
    status = statuses.running(view, view.run.status, attempt.target, pod)
    requeue = min(moment for moment in (deadline, silent_at, standby_at) if moment is not None)
    progress = attempt.record.progress if attempt.record else None
    if progress is not None and progress != status.progress:
        shown_at = status.progress.at if status.progress else None
        due = shown_at + view.settings.progress_interval if shown_at else view.now
        if view.now >= due:
            status = status.changed(progress=progress)
        else:
            requeue = min(requeue, due)
    return Plan(status=status, requeue_at=requeue)


def _silent(view: View, attempt: Attempt, pod: Pod) -> Plan:
    """The pod seems to have sent no heartbeat for too long: confirm that with a live read, then end it."""
    last, silence = attempt.record.heartbeat_at if attempt.record else None, view.silence
    if silence is None or (silence.record, silence.heartbeat_at) != (attempt.target.name, last):
        return Plan(actions=(ConfirmSilent(attempt.target.name, last),))
    believed_at = silence.since + view.settings.silence_grace
    if view.now < believed_at:
        return Plan(status=statuses.running(view, view.run.status, attempt.target, pod), requeue_at=believed_at)
    if view.now > silence.confirmed_at + view.settings.silence_good_for:
        return Plan(actions=(ConfirmSilent(attempt.target.name, last),))  # it may have arrived meanwhile
    return ending.end(view, attempt, pod, heartbeat.ENDING_REASON)


def _ended_without_answer(view: View, attempt: Attempt, pod: Pod) -> Plan:
    disruption = _disruption(view, attempt, pod)
    if due_pod.has_successor(view, attempt.target):
        return _disrupted(view, attempt, disruption or f"pod {pod.metadata.name} was disrupted", view.now)
    answer = termination_message.answer_of(pod)
    if (
        pod.task.terminated is not None
        and not pod.is_terminal
        and (answer is None or termination_message.is_silent(pod))
    ):
        # Whether the node ended the pod is known only with the pod's phase, which follows a second or two later.
        settled = view.ended_at(pod) + view.settings.answer_grace
        if view.now < settled:
            return Plan(status=statuses.running(view, view.run.status, attempt.target, pod), requeue_at=settled)
    if answer is not None:
        at_once = answers.finish_without_record(view, attempt, pod, answer)
        return at_once or responses.write(view, WriteRecord(attempt.target, attempt.uid, pod, answer))
    if pod.metadata.deletion_timestamp is not None and not pod.has_started and view.must_start_by(pod) <= view.now:
        return responses.write_failure(
            view, attempt, pod, failures.pending_timeout(pod, _shown_problem(view.run.status))
        )
    if disruption is not None:
        may_still_run = failures.is_left_behind(pod)
        if may_still_run and pod.metadata.deletion_timestamp is None:
            # The pod garbage collector deletes it, too, but in a request of its own. Its token is valid until then.
            return Plan(actions=(DeletePod(pod.metadata.name, pod.metadata.uid, pod.metadata.resource_version),))
        if may_still_run and pod.is_held and late_creations.keeps_name(view, pod) is None:
            return Plan(actions=(ReleasePod(pod),))  # its token stays valid for as long as the pod exists
        if _needs_claim(attempt, pod):
            return responses.write(view, ClaimRecord(attempt.target, attempt.uid, pod))
        return _disrupted(view, attempt, disruption, _token_dies_at(view, pod) if may_still_run else view.now)
    return responses.write_failure(view, attempt, pod, failures.failure_of(pod))


def _disruption(view: View, attempt: Attempt, pod: Pod) -> str | None:
    words = failures.disruption_of(pod)
    if words is None and pod.metadata.annotations.after is not None and attempt.record is None:
        # It has run no user code. The next one is not created ahead, so a problem of the pod itself shows again.
        return f"pod {pod.metadata.name} ended before its iteration began: {failures.failure_of(pod).message}"
    if words is not None and not pod.has_started and _is_outdated(view, pod):
        return f"pod {pod.metadata.name} had not started when spec.template of its TaskDefinition changed"
    return words


def _token_dies_at(view: View, pod: Pod) -> datetime:
    """Return when a pod that counts as ended, but may still run, can no longer answer."""
    deleted = pod.metadata.deletion_timestamp
    # A pod that was not deleted by force stays until its kubelet or the garbage collector removes it.
    is_kept = bool(pod.metadata.finalizers or pod.metadata.deletion_grace_period_seconds)
    if deleted is None or not is_kept:
        return view.now + view.settings.force_gone_grace
    return max(deleted + view.settings.deleted_token_grace, view.now + view.settings.force_gone_grace)


def _lost(view: View, attempt: Attempt) -> Plan:
    """Handle a pod that no longer exists and left no answer."""
    assert attempt.gone is not None  # noqa: S101 - _hold has confirmed it
    if due_pod.has_successor(view, attempt.target):
        return _disrupted(view, attempt, f"pod {attempt.target.name} was deleted", view.now)
    last = attempt.gone.last
    answer = termination_message.answer_of(last) if last is not None else None
    if answer is not None:
        return responses.write(view, WriteRecord(attempt.target, attempt.uid, last, answer))
    if last is not None and last.metadata.annotations.ending_since is not None:
        failure = failures.timeout(last)
    elif last is not None and not last.has_started and view.must_start_by(last) <= view.now:
        failure = failures.pending_timeout(last, _shown_problem(view.run.status))
    else:
        safe = (
            last is not None
            and not failures.is_left_behind(last)
            # Its node may have started it without reporting that before the pod was deleted by force.
            and (last.is_released or (attempt.gone.is_last_state and not last.spec.node_name))
        )
        if last is not None and _needs_claim(attempt, last):
            return responses.write(view, ClaimRecord(attempt.target, attempt.uid, last))
        not_before = attempt.gone.at if safe else attempt.gone.at + view.settings.force_gone_grace
        return _disrupted(view, attempt, f"pod {attempt.target.name} was deleted", not_before)
    return responses.write_failure(view, attempt, last, failure)


def _needs_claim(attempt: Attempt, pod: Pod) -> bool:
    """Return whether a pod without a record may have been seen as Succeeded before it was deleted.

    The request that stores this result may still be in flight, sent by an operator that never got the response. A
    record without an answer, such as the claim of a pod with reporting API, makes that request fail.
    """
    return attempt.record is None and termination_message.succeeds_unless_stopped(pod)


def _shown_problem(status: TaskRunStatus) -> failures.Problem | None:
    stalled = status.condition("Stalled")
    if stalled is None or stalled.status != "True":
        return None
    return failures.Problem(stalled.reason, stalled.message)


def _disrupted(view: View, attempt: Attempt, message: str, not_before: datetime) -> Plan:
    """The cluster, not the task, ended the pod: repeat the iteration, without counting a failed attempt."""
    status = view.run.status
    is_replaced = due_pod.has_successor(view, attempt.target)  # then the definition may have changed since
    if view.definition is None and not is_replaced:
        return statuses.definition_gone(view, message)
    allowed = view.definition.spec.disruption_retries if view.definition is not None else 0
    recent = statuses.remember(status, attempt, "disrupted", message, view.now)
    if status.disruptions >= allowed and not is_replaced:
        failed = f"{message}; this iteration lost {status.disruptions + 1} pods, and disruptionRetries allows {allowed}"
        status = status.changed(recent_iterations=recent)
        return statuses.finish(view, status, "Failed", "Disrupted", failed, error=TaskError(failed, "Disrupted"))
    following = status.changed(
        disruptions=status.disruptions + 1,
        next_iteration_at=not_before if not_before > view.now else None,
        current=None,
        recent_iterations=recent,
    )
    return starting.start(view, following)
