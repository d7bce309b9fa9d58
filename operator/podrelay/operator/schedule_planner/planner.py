"""What a TaskSchedule does now. Read top to bottom; each step may end the plan.

1. Which runs have finished, or no longer exist?
2. Are the rules valid, and have they changed?
3. Have too many runs failed in a row?
4. Is the schedule suspended, or was it?
5. Start the runs that waited for others; abort those that are replaced; decide the times that have come.
6. Continue the backfills.
7. Otherwise the status says what was decided, and what comes next.
"""

from datetime import datetime
from typing import Final

from podrelay.api import names
from podrelay.api.phases import FINISHED
from podrelay.operator.objects.schedules import TaskScheduleStatus
from podrelay.operator.schedule_planner import backfills, conditions, due_times
from podrelay.operator.schedule_planner.conditions import Verdict
from podrelay.operator.schedule_planner.draft import Draft
from podrelay.operator.schedule_planner.plan import Action, ConfirmRun, SchedulePlan, SuspendSchedule
from podrelay.operator.schedule_planner.view import ScheduleView
from podrelay.schedules.timetable import Timetable

NEXT_TIMES: Final = 5
SUSPENDED_BY: Final = "podrelay"
"""The name with which the operator suspends a schedule."""


def plan(view: ScheduleView) -> SchedulePlan:
    """Return what to do for a schedule now."""
    if view.schedule.metadata.annotations.imported == names.IMPORT_INCOMPLETE:
        return SchedulePlan()  # `podrelay import` has not restored its status yet, which says what was decided
    unknown = _unknown_runs(view)
    if unknown:
        return SchedulePlan(tuple(unknown))
    draft = Draft(view)
    _settle_runs(view, draft)
    if view.timetable is None:
        return SchedulePlan(status=_status(view, draft, Verdict(False, conditions.INVALID, view.problem), ()))
    _follow_rules(view, view.timetable, draft)
    pausing = _pause(view, draft)
    if pausing:
        return SchedulePlan(tuple(pausing))
    return _schedule(view, view.timetable, draft)


def _unknown_runs(view: ScheduleView) -> list[Action]:
    """Return the active runs that are not in the cache: they were deleted, or the cache is a moment behind."""
    return [
        ConfirmRun(active.name)
        for active in view.schedule.status.active
        if view.find(active.name) is None and active.name not in view.gone
    ]


def _settle_runs(view: ScheduleView, draft: Draft) -> None:
    for active in view.schedule.status.active:
        run = view.find(active.name)
        if run is None or run.status.phase in FINISHED:
            draft.settle(active.name, run)
    # Those that a user started through the schedule, or that the status does not have yet.
    for run in view.unfinished:
        scheduled = run.spec.scheduled
        if scheduled is not None and (scheduled.manual or _is_decided(draft, scheduled.time)):
            draft.add_active(run.metadata.name, scheduled.time, scheduled.backfill, run)


def _is_decided(draft: Draft, time: datetime) -> bool:
    return draft.processed_until is not None and time <= draft.processed_until and time not in draft.buffered


def _follow_rules(view: ScheduleView, timetable: Timetable, draft: Draft) -> None:
    """Begin with the times after the creation of the schedule, or after the change of its rules."""
    if draft.timetable == timetable.identity:
        return
    if draft.timetable is None or draft.processed_until is None:
        draft.processed_until = view.schedule.metadata.creation_timestamp
    else:
        draft.processed_until = max(draft.processed_until, view.now.replace(microsecond=0))
    draft.timetable = timetable.identity


def _pause(view: ScheduleView, draft: Draft) -> list[Action]:
    spec = view.schedule.spec
    if spec.pause_on_failures is None or draft.consecutive_failures < spec.pause_on_failures:
        return []
    if not spec.suspend:
        count = draft.consecutive_failures
        return [SuspendSchedule(f"{count} run{'s' if count > 1 else ''} failed in a row; fix the cause, then resume")]
    draft.consecutive_failures = 0  # after it is resumed, it starts from zero
    return []


def _schedule(view: ScheduleView, timetable: Timetable, draft: Draft) -> SchedulePlan:
    assert draft.processed_until is not None  # noqa: S101 - set by _follow_rules
    spec = view.schedule.spec
    if spec.suspend:
        verdict = Verdict(True, conditions.SUSPENDED, "suspended: no run starts")
        return SchedulePlan(status=_status(view, draft, verdict, (), is_suspended=True))
    is_partial = False
    if _was_suspended(view.schedule.status):
        is_partial = _skip_suspended(view, timetable, draft)
    else:
        actions = due_times.start_buffered(view, timetable, draft)
        if not actions:
            times = due_times.come(view, timetable, draft.processed_until)
            actions = due_times.decide(view, timetable, draft, times)
            is_partial = times.is_partial
        if actions:
            return SchedulePlan(tuple(actions))
        # After the status shows which run replaces them.
        replaced = due_times.abort_others(view, draft)
        if replaced and tuple(draft.buffered) == view.schedule.status.buffered:
            return SchedulePlan(tuple(replaced))
        is_partial |= bool(replaced)
    filling = backfills.advance(view, timetable, draft)
    if filling.actions:
        return SchedulePlan(tuple(filling.actions))
    following = tuple(timetable.next(draft.processed_until, NEXT_TIMES))
    still_suspended = is_partial and _was_suspended(view.schedule.status)
    status = _status(view, draft, _verdict(view, following), following, is_suspended=still_suspended)
    if view.refusal is not None:
        return SchedulePlan(status=status)  # retried with growing pauses
    requeue = [at for at in (filling.requeue_at, following[0] + view.jitter if following else None) if at is not None]
    return SchedulePlan(
        status=status, requeue_at=min(requeue, default=None), is_partial=is_partial or filling.is_partial
    )


def _was_suspended(status: TaskScheduleStatus) -> bool:
    condition = status.condition("Suspended")
    return condition is not None and condition.status == "True"


def _skip_suspended(view: ScheduleView, timetable: Timetable, draft: Draft) -> bool:
    """Skip the times that came while the schedule was suspended; return whether there are more of them.

    A run may have started before that, by an operator that died before it could write the status.
    """
    assert draft.processed_until is not None  # noqa: S101 - set by _follow_rules
    times = due_times.come(view, timetable, draft.processed_until)
    draft.skip("suspended", sum(not due_times.is_started(view, draft, time) for time in times.due))
    now = view.now.replace(microsecond=0)
    draft.processed_until = times.due[-1] if times.is_partial else max(draft.processed_until, now - view.jitter)
    draft.processed_until = draft.processed_until.replace(microsecond=0)
    return times.is_partial


def _verdict(view: ScheduleView, following: tuple[datetime, ...]) -> Verdict:
    if view.refusal is not None:
        return Verdict(False, conditions.REFUSED, f"the API server refuses the run: {view.refusal}")
    if not following:
        return Verdict(True, conditions.ENDED, "no time of the schedule is left")
    return Verdict(True, conditions.SCHEDULING, "runs start at the times of the schedule")


def _status(
    view: ScheduleView,
    draft: Draft,
    verdict: Verdict,
    following: tuple[datetime, ...],
    *,
    is_suspended: bool = False,
) -> TaskScheduleStatus:
    return draft.status().changed(
        observed_generation=view.schedule.metadata.generation,
        next_times=following,
        conditions=conditions.of(view.schedule, verdict, view.now, is_suspended=is_suspended),
    )
