"""Status writes that are left out: a run whose pods answer quickly shows the result of several steps in one write.

This applies to pods that report by termination message and needed no claim (`View.creates_alone`). Nothing depends on
such a status: the pods and records exist, and the same plan follows from them again, also in another replica. If
anything else happens to such a pod than that it starts and answers, it is claimed in the status first. Pure functions,
like the planner.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Final, NamedTuple

import msgspec

from podrelay.api import names
from podrelay.operator import object_rules
from podrelay.operator.objects.runs import TaskRunStatus
from podrelay.operator.plan import ConsumeSignals, CreatePod, Plan, ReadInput, ReadRecord, WriteRecord
from podrelay.operator.planner import statuses, termination_message
from podrelay.operator.planner.due_pod import Attempt
from podrelay.operator.pods import Pod
from podrelay.operator.view import View

_POSSIBLE_BEFORE_THE_STATUS: Final = (CreatePod, WriteRecord, ReadRecord, ReadInput, ConsumeSignals)
"""Actions that are the same, and as safe, whether or not the steps before them are in the status."""

_QUIET: Final = frozenset({None, names.REASON_NOT_SEEN, statuses.ITERATION_RUNNING})
"""The reasons of a run that neither waits nor is stalled."""


class Coalesced(NamedTuple):
    """A plan, and whether a status was left out of it, so that nothing else may be based on the stored one."""

    plan: Plan
    is_delayed: bool


def coalesce(view: View, plan: Callable[[View], Plan]) -> Coalesced:
    """Plan as if each status that can be left out had been written, until one cannot be, or its time has come."""
    following, shown_by = plan(view), None
    if view.run.status.reason not in _QUIET:
        return Coalesced(following, is_delayed=False)  # such as Queued: a user should see at once that this is over
    while (delayed := _delayed_until(view, following)) is not None:
        assert following.status is not None  # noqa: S101 - checked by `_delayed_until`
        shown_by = min(delayed, shown_by or delayed)
        is_due = view.now >= shown_by
        ahead = _with_status(view, following.status)
        further = plan(ahead)
        if further.actions:
            is_possible = all(isinstance(action, _POSSIBLE_BEFORE_THE_STATUS) for action in further.actions)
            comes_later = is_possible and not is_due
            return Coalesced(further if comes_later else following, is_delayed=comes_later)
        if further.status is None or further.status == following.status:
            # A status that is due shows all that has happened until now, so that the next one is not due as soon.
            waiting = Plan(requeue_at=_earlier(shown_by, further.requeue_at))
            return Coalesced(following if is_due else waiting, is_delayed=not is_due)
        view, following = ahead, further
    return Coalesced(following, is_delayed=False)


def must_be_claimed(view: View, attempt: Attempt, pod: Pod) -> bool:
    """Return whether the status has to name a pod before its state is processed.

    Its name may become free after that, or another pod may replace it: then only the status shows that it has existed.
    """
    if not _may_be_unnamed(pod) or object_rules.is_named(view.run.status, pod):
        return False
    if _is_ending(pod) or view.run.spec.abort is not None:
        return True
    has_answered = attempt.record is not None and attempt.record.response is not None
    return pod.is_released and not has_answered and termination_message.answer_of(pod) is None


def _delayed_until(view: View, following: Plan) -> datetime | None:
    """Return until when the status of a plan may be left out; None if it must be written at once, or there is none."""
    status, run = following.status, view.run
    if following.actions or status is None or status.current is None or status == run.status:
        return None
    if status.reason != statuses.ITERATION_RUNNING or object_rules.is_stalled(status) or run.spec.abort is not None:
        return None
    if status.concurrency_key != run.status.concurrency_key:
        return None  # until another replica knows the value, no other run of the definition gets a slot
    own = [pod for pod in view.pods if view.owns(pod)]
    pod = next((pod for pod in own if object_rules.is_named(status, pod)), None)
    if pod is None or not _may_be_unnamed(pod) or any(_is_ending(other) for other in own):
        return None
    return view.shown_by(pod)


def _with_status(view: View, status: TaskRunStatus) -> View:
    return msgspec.structs.replace(view, run=msgspec.structs.replace(view.run, status=status))


def _may_be_unnamed(pod: Pod) -> bool:
    return pod.reports_by_message and not pod.is_unclaimed and pod.is_held


def _is_ending(pod: Pod) -> bool:
    return pod.metadata.deletion_timestamp is not None or pod.metadata.annotations.ending_since is not None


def _earlier(one: datetime, other: datetime | None) -> datetime:
    return min(one, other) if other is not None else one
