"""Who has decided about a run, and when, as its status shows it. Pure functions, called by the planner."""

from collections.abc import Iterable

from podrelay.api import limits
from podrelay.operator.objects.runs import ApprovalDecision, TaskRunStatus
from podrelay.operator.view import View


def including(view: View, status: TaskRunStatus, signals: Iterable[str], waited: int) -> tuple[ApprovalDecision, ...]:
    """Return the decisions about a run, the oldest first: earlier ones, and those among these signals.

    Args:
        view: the view of the run.
        status: shows the decisions so far.
        signals: the names of the TaskSignals that one wait has got.
        waited: the iteration that has asked for that wait.
    """
    known = {decision.name: decision for decision in status.approvals if decision.iteration == waited}
    new = [_decision(view, name, waited) or known.get(name) for name in signals]
    earlier = [decision for decision in status.approvals if decision.iteration != waited]
    return tuple([*earlier, *filter(None, new)][-limits.SIGNALS_AT_ONCE :])


def _decision(view: View, name: str, waited: int) -> ApprovalDecision | None:
    signal = view.inbox.decisions.get(name)
    if signal is None or signal.decision is None:
        return None
    return ApprovalDecision(
        signal.signal, signal.decision, signal.sender, signal.created, name, waited, signal.restored_by
    )
