"""Decides whether a signal is accepted, rejected, or has to wait for its run. Pure, level-based.

Whether an accepted signal is consumed is decided by the planner of runs (`planner.signals`).
"""

from datetime import timedelta
from typing import Final

from podrelay.api import limits, names
from podrelay.api.phases import FINISHED
from podrelay.operator.objects.definitions import Approval, TaskDefinition
from podrelay.operator.objects.signals import REJECTED
from podrelay.operator.signal_planner.plan import Accept, Adopt, CheckPayload, Delete, Plan, Reject
from podrelay.operator.signal_planner.view import SignalView

WAITS_FOR_ITS_RUN: Final = timedelta(hours=1)
"""How long a signal is kept for a run that does not exist yet."""
KEPT_WITHOUT_RUN: Final = timedelta(days=1)
"""How long a rejected signal that no run owns is kept."""

RUN_NOT_FOUND: Final = "RunNotFound"
RUN_FINISHED: Final = "RunFinished"
UNKNOWN_SIGNAL: Final = "UnknownSignal"
DECISION_MISSING: Final = "DecisionMissing"
NOT_AN_APPROVAL: Final = "NotAnApproval"
SENDER_NOT_ALLOWED: Final = "SenderNotAllowed"
ALREADY_DECIDED: Final = "AlreadyDecided"
INVALID_PAYLOAD: Final = "InvalidPayload"


def plan(view: SignalView) -> Plan:
    """Return what to do with a signal."""
    signal, run = view.signal, view.run
    owner = signal.metadata.owner_run()
    if signal.metadata.deletion_timestamp is not None:
        return Plan()
    if not signal.is_pending:
        return _without_owner(view) if signal.status.phase == REJECTED and owner is None else Plan()
    if run is None or (owner is not None and owner.uid != run.metadata.uid):
        return _without_run(view)
    if run.is_incomplete:
        return Plan()  # `podrelay import` has not restored its status yet; planned again when it has
    if run.status.phase in FINISHED:
        message = f"TaskRun {run.metadata.name} has finished ({run.status.phase}) without waiting for this signal"
        return Plan(Reject(RUN_FINISHED, message))
    if owner is None:
        return Plan(Adopt(run.metadata.name, run.metadata.uid))
    if view.definition is None:
        return Plan()  # planned again when it exists
    problem = _problem(view, view.definition)
    if problem is not None:
        return Plan(problem)
    kind = view.definition.spec.signal(signal.spec.signal)
    if kind is not None and kind.payload_schema is not None:
        if view.payload_problem is None:
            return Plan(CheckPayload(kind.payload_schema))
        if view.payload_problem:
            return Plan(Reject(INVALID_PAYLOAD, view.payload_problem))
    return Plan(Accept())


def _without_run(view: SignalView) -> Plan:
    about = view.signal.metadata
    if about.owner_run() is not None:
        return Plan()  # of a run that was deleted: garbage collection deletes it
    until = about.creation_timestamp + WAITS_FOR_ITS_RUN
    if view.now < until:
        return Plan(requeue_at=until)
    run = view.signal.spec.task_run
    return Plan(Reject(RUN_NOT_FOUND, f"there was no TaskRun {run} within an hour; create the run, then send it again"))


def _without_owner(view: SignalView) -> Plan:
    until = view.signal.metadata.creation_timestamp + KEPT_WITHOUT_RUN
    return Plan(Delete()) if view.now >= until else Plan(requeue_at=until)


def _problem(view: SignalView, definition: TaskDefinition) -> Reject | None:
    """Return why a signal must not reach its run; None if only its payload may be wrong."""
    spec, name = view.signal.spec, definition.metadata.name
    kind = definition.spec.signal(spec.signal)
    if kind is None and definition.spec.signals is not None:
        known = ", ".join(item.name for item in definition.spec.signals) or "none"
        return Reject(UNKNOWN_SIGNAL, f"runs of {name} do not understand the signal {spec.signal}; they know: {known}")
    if spec.size > limits.SIGNAL_BYTES:
        message = f"the payload has {spec.size} bytes, the limit is {limits.SIGNAL_BYTES}; pass a reference instead"
        return Reject(INVALID_PAYLOAD, message)
    approval = kind.approval if kind is not None else None
    if approval is not None:
        return _problem_of_decision(view, approval)
    if spec.decision is not None:
        message = f"the signal {spec.signal} of {name} is not an approval; leave out spec.decision"
        return Reject(NOT_AN_APPROVAL, message)
    return None


def _problem_of_decision(view: SignalView, approval: Approval) -> Reject | None:
    signal = view.signal
    sender, spec = signal.metadata.annotations.created_by, signal.spec
    if spec.decision is None:
        return Reject(DECISION_MISSING, f"{spec.signal} is an approval; set spec.decision to Approve or Reject")
    if signal.metadata.annotations.restored_by is not None and view.run_is_original:
        message = "it was restored from a backup, which counts only for a run that was restored as well; send it again"
        return Reject(SENDER_NOT_ALLOWED, message)
    if not sender:
        message = f"an approval needs a sender: set the annotation {names.ANNOTATION_CREATED_BY} to your user name"
        return Reject(SENDER_NOT_ALLOWED, message)
    if approval.groups is not None and not set(approval.groups) & set(spec.groups):
        allowed = ", ".join(approval.groups)
        message = f"{sender} may not decide: spec.groups of the signal must have one of these groups: {allowed}"
        return Reject(SENDER_NOT_ALLOWED, message)
    if approval.exclude_creator and view.created_by is None:
        message = (
            "excludeCreator applies, and it is not known who has created the run; start runs that need this approval "
            f"with podrelay trigger, the task service or GraphQL, or set the annotation {names.ANNOTATION_CREATED_BY}"
        )
        return Reject(SENDER_NOT_ALLOWED, message)
    if approval.exclude_creator and view.created_by == sender:
        return Reject(SENDER_NOT_ALLOWED, f"{sender} has created the run, and so may not decide about it")
    if view.has_decided:
        message = f"{sender} has decided already; to change that, delete the earlier TaskSignal before it is consumed"
        return Reject(ALREADY_DECIDED, message)
    return None
