"""What a run waits for when its last answer waits for signals, and which signals its next iteration is given.

Pure functions, called by the planner. Each signal is consumed by exactly one recorded answer:

- The signals of an iteration are chosen when its pod is created, from those that were accepted and not consumed. The
  executor reads them live before it creates the pod, and the pod's list never changes.
- The answer of the pod names the signals that it has consumed; an error names none, so the next attempt gets them.
- Before anything follows from an answer, its signals are marked as consumed in the API server (`to_consume`). So they
  are marked before the pod of the next iteration exists, regardless of how old the view of its operator is.
"""

from datetime import datetime, timedelta
from typing import Final, NamedTuple

from podrelay.api import limits, names
from podrelay.operator import object_rules
from podrelay.operator.objects.answers import Response, WaitForSignal
from podrelay.operator.objects.records import Record
from podrelay.operator.objects.runs import ApprovalDecision, AwaitedSignals, TaskRunStatus
from podrelay.operator.objects.signals import APPROVE, REJECT
from podrelay.operator.plan import ConfirmChildren, ConsumeSignals, Plan, Target
from podrelay.operator.planner import approvals, children, due_pod, statuses
from podrelay.operator.view import View, WaitingSignal

SIGNALS: Final = "Signals"
APPROVED: Final = "Approved"
REJECTED: Final = "Rejected"
TIMEOUT: Final = "Timeout"
CHILDREN: Final = "Children"

_OVERHEAD_BYTES: Final = 1024
"""Room for name, sender and time of a signal, if it is passed in an environment variable."""


class Wait(NamedTuple):
    """A wait for signals before an iteration."""

    record: Record
    awaited: WaitForSignal
    until: datetime
    signals: tuple[WaitingSignal, ...]
    """Those that the iteration is given if it starts now, the oldest first."""
    woken_by: str
    """What has ended the wait; empty while it lasts."""


def to_consume(view: View, record: Record) -> ConsumeSignals | None:
    """Return the action that marks the signals that the answer in `record` has consumed; None if they are marked."""
    consumed = record.response.signals if record.response is not None else ()
    if not consumed or record.metadata.name in view.consumed or view.inbox.consumed.issuperset(consumed):
        return None
    return ConsumeSignals(record.metadata.name, record.iteration, consumed)


def wait_before(view: View, target: Target) -> Wait | None:
    """Return the wait for signals that precedes the iteration of `target`; None if its state does not ask for one."""
    record = due_pod.record_named(view, target.state) if target.state is not None else None
    if record is None or record.response is None or record.response.wait_for_signal is None:
        return None
    awaited, until = record.response.wait_for_signal, _until(record, record.response)
    waiting = sorted(
        (signal for signal in view.inbox.waiting if signal.signal in awaited.names),
        key=lambda signal: (signal.created, signal.name),
    )
    woken_by = _decided(view, awaited, waiting) or _woken_by(view, awaited, waiting, record)
    if not woken_by and view.now >= until:
        woken_by = TIMEOUT
    return Wait(record, awaited, until, _bounded(view, waiting), woken_by)


def given(target: Target, wait: Wait) -> Target:
    """Return `target` with the signals that its iteration is given."""
    # An attempt after a failed one may find less than the one before it, if a user has deleted a signal.
    woken_by = wait.woken_by or (SIGNALS if wait.signals else TIMEOUT)
    return target.with_signals(tuple(signal.name for signal in wait.signals), woken_by)


def hold(view: View, status: TaskRunStatus, wait: Wait) -> Plan | None:
    """Show what a run waits for; None if its wait has ended."""
    if wait.woken_by:
        return None
    response = wait.record.response
    assert response is not None  # noqa: S101 - a wait is part of a response
    if response.wait_for_children is not None and view.children.known_since != wait.record.metadata.name:
        return Plan(actions=(ConfirmChildren(wait.record.metadata.name),))
    shown = statuses.show(
        view,
        status,
        status.phase or "Pending",
        object_rules.WAITING_FOR_SIGNAL,
        _message(view, wait),
        current=None,
        next_iteration_at=statuses.seconds(wait.until),
        waiting_for=AwaitedSignals(wait.awaited.names, _needed(view, wait.awaited), statuses.seconds(wait.until)),
        approvals=decisions(view, status, wait),
    )
    return Plan(status=shown, requeue_at=wait.until)


def decisions(view: View, status: TaskRunStatus, wait: Wait) -> tuple[ApprovalDecision, ...]:
    """Return the decisions about the run, with those that this wait has got so far."""
    return approvals.including(view, status, [signal.name for signal in wait.signals], wait.record.iteration)


def _until(record: Record, response: Response) -> datetime:
    answered = record.finished_at or record.metadata.creation_timestamp
    longest = answered + timedelta(seconds=limits.MAX_WAIT_SECONDS)
    if response.wait_seconds:
        return min(answered + timedelta(seconds=response.wait_seconds), longest)
    return min(response.wait_until or longest, longest)


def _decided(view: View, awaited: WaitForSignal, waiting: list[WaitingSignal]) -> str:
    for name in awaited.names:
        required = _required(view, name)
        if required is None:
            continue
        decisions = [signal for signal in waiting if signal.signal == name]
        if any(signal.decision == REJECT for signal in decisions):
            return REJECTED
        if len({signal.sender for signal in decisions if signal.decision == APPROVE}) >= required:
            return APPROVED
    return ""


def _woken_by(view: View, awaited: WaitForSignal, waiting: list[WaitingSignal], record: Record) -> str:
    events = [signal for signal in waiting if _required(view, signal.signal) is None]
    if len(events) >= awaited.count:
        return SIGNALS
    response = record.response
    wanted = response.wait_for_children if response is not None else None
    is_known = view.children.known_since == record.metadata.name
    return CHILDREN if wanted is not None and is_known and not children.unfinished(view, wanted) else ""


def _required(view: View, name: str) -> int | None:
    """Return how many approvals a signal requires; None if it is not an approval."""
    kind = view.definition.spec.signal(name) if view.definition is not None else None
    return kind.approval.required if kind is not None and kind.approval is not None else None


def _needed(view: View, awaited: WaitForSignal) -> int:
    required = _required(view, awaited.names[0]) if len(awaited.names) == 1 else None
    return required or awaited.count


def _bounded(view: View, waiting: list[WaitingSignal]) -> tuple[WaitingSignal, ...]:
    """Return the oldest signals that fit into one iteration; the others are left for the next one."""
    by_message = view.definition is not None and view.definition.spec.reporting == names.REPORTING_TERMINATION_MESSAGE
    room = limits.ENVIRONMENT_INPUT_BYTES if by_message else limits.SIGNALS_BYTES
    found: list[WaitingSignal] = []
    for signal in waiting[: limits.SIGNALS_AT_ONCE]:
        room -= signal.size + (_OVERHEAD_BYTES if by_message else 0)
        if room < 0:
            break
        found.append(signal)
    return tuple(found)


def _message(view: View, wait: Wait) -> str:
    awaited, until = wait.awaited, statuses.clock(wait.until)
    words = " or ".join(awaited.names)
    required = _required(view, awaited.names[0]) if len(awaited.names) == 1 else None
    if required is not None:
        have = len({signal.sender for signal in wait.signals if signal.decision == APPROVE})
        return f"waits for the approval {words} until {until}; {have} of {required} users have approved"
    number = f"{awaited.count} signals" if awaited.count > 1 else "the signal"
    # With each signal that comes, the message changes, and so do the pages and commands that show it.
    have = sum(_required(view, signal.signal) is None for signal in wait.signals)
    so_far = f"; {have} of {awaited.count} have come" if awaited.count > 1 and have else ""
    response = wait.record.response
    or_children = ", or for its children," if response is not None and response.wait_for_children is not None else ""
    return f"waits for {number} {words}{or_children} until {until}{so_far}"
