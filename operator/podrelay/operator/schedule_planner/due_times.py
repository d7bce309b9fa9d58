"""What happens to the times that have come: their runs start, wait, or do not start. Pure functions."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import islice
from typing import Final, NamedTuple

from podrelay.api import limits, run_names
from podrelay.operator.objects.runs import TaskRun
from podrelay.operator.schedule_planner.draft import Draft
from podrelay.operator.schedule_planner.plan import AbortRun, Action, StartRun
from podrelay.operator.schedule_planner.view import ScheduleView
from podrelay.schedules.timetable import Timetable

ON_TIME: Final = timedelta(seconds=60)
"""A time is not missed if it came at most so long ago: another replica takes over in less."""
MOST_AT_ONCE: Final = 500
"""So many times are decided between two writes of the status: each costs some 50 us, and other keys wait meanwhile."""
MOST_STARTS: Final = 20
"""So many runs are created between two writes of the status."""


class Times(NamedTuple):
    """Times that have come."""

    due: list[datetime]
    is_partial: bool
    """Whether there are more of them."""


def come(view: ScheduleView, timetable: Timetable, since: datetime) -> Times:
    """Return the first times later than `since` whose runs are due."""
    cutoff = view.now - view.jitter
    times = list(islice(_until(timetable, since, cutoff), MOST_AT_ONCE + 1))
    return Times(times[:MOST_AT_ONCE], is_partial=len(times) > MOST_AT_ONCE)


def decide(view: ScheduleView, timetable: Timetable, draft: Draft, times: Times) -> list[Action]:
    """Decide for each time; stop at the first one whose run must be created, and return that action.

    With overlap Allow, several runs may be created.
    """
    starts: list[Action] = []
    for number, time in enumerate(times.due):
        is_last = number == len(times.due) - 1 and not times.is_partial
        if is_started(view, draft, time):
            draft.processed_until = max(draft.processed_until or time, time)
        elif starts and not _may_also_start(view, draft, starts):
            break
        elif not _is_wanted(view, time, is_last=is_last):
            if starts:
                break
            draft.missed += 1
            draft.processed_until = time
        elif _starts_now(view, draft):
            if view.refusal is not None:
                break
            starts.append(start(view, timetable, time))
        else:
            if starts:
                break
            _postpone(view, draft, time)
            draft.processed_until = time
    return starts


def start_buffered(view: ScheduleView, timetable: Timetable, draft: Draft) -> list[Action]:
    """Return what starts the next run that waits for others, if it need not wait any longer."""
    while draft.buffered and (view.schedule.spec.overlap == "Allow" or not draft.active()):
        if not is_started(view, draft, draft.buffered[0]):
            return [start(view, timetable, draft.buffered[0])] if view.refusal is None else []
        del draft.buffered[0]
    return []


def abort_others(view: ScheduleView, draft: Draft) -> list[Action]:
    """Return what aborts the runs that a waiting run replaces, with overlap AbortOther."""
    if view.schedule.spec.overlap != "AbortOther" or not draft.buffered:
        return []
    found = (view.find(active.name) for active in draft.active())
    name, successor = view.schedule.metadata.name, name_of(view, draft.buffered[0])
    message = f"schedule {name}: replaced by {successor}"
    return [
        AbortRun(run.metadata.name, run.metadata.uid, message)
        for run in found
        if run is not None and run.spec.abort is None and run.metadata.name != successor
    ]


def name_of(view: ScheduleView, time: datetime) -> str:
    """Return the name of the run for a time."""
    return run_names.scheduled_name(view.schedule.metadata.name, time)


def start(
    view: ScheduleView, timetable: Timetable, time: datetime, backfill: str | None = None, due: datetime | None = None
) -> StartRun:
    """Return the action that creates the run for a time."""
    following = timetable.next(time, 1)
    return StartRun(
        name=name_of(view, time),
        time=time,
        previous=timetable.before(time),
        next=following[0] if following else None,
        due=due or time + view.jitter,
        backfill=backfill,
    )


def is_for(view: ScheduleView, run: TaskRun, time: datetime) -> bool:
    """Return whether a run is of the schedule, and for this time."""
    scheduled = run.spec.scheduled
    return scheduled is not None and (scheduled.schedule, scheduled.time) == (view.schedule.metadata.name, time)


def is_started(view: ScheduleView, draft: Draft, time: datetime) -> bool:
    """Count the run for a time if it exists; return whether nothing remains to be done for the time."""
    name = name_of(view, time)
    run = view.find(name)
    if name in view.taken or (run is not None and not is_for(view, run, time)):
        draft.skip("nameTaken")
        return True
    if run is None and name not in view.started:
        return False
    draft.started += 1
    scheduled = run.spec.scheduled if run is not None else None
    draft.add_active(name, time, scheduled.backfill if scheduled is not None else None, run)
    return True


def _until(timetable: Timetable, since: datetime, cutoff: datetime) -> Iterator[datetime]:
    for time in timetable.after(since):
        if time > cutoff:
            return
        yield time


def _is_wanted(view: ScheduleView, time: datetime, *, is_last: bool) -> bool:
    """Return whether the run for a time is still to be started: the time has just come, or the policy wants it."""
    age = view.now - view.jitter - time
    if age <= ON_TIME + view.excused:
        return True
    missed = view.schedule.spec.missed
    if age > timedelta(seconds=missed.window_seconds):
        return False
    return missed.policy == "All" or (missed.policy == "Latest" and is_last)


def _may_also_start(view: ScheduleView, draft: Draft, starts: list[Action]) -> bool:
    if view.schedule.spec.overlap != "Allow" or len(starts) >= MOST_STARTS:
        return False
    return len(draft.active()) + len(starts) < limits.SCHEDULE_ACTIVE_RUNS


def _starts_now(view: ScheduleView, draft: Draft) -> bool:
    if view.schedule.spec.overlap == "Allow":
        return len(draft.active()) < limits.SCHEDULE_ACTIVE_RUNS and not draft.buffered
    return not draft.active() and not draft.buffered


def _postpone(view: ScheduleView, draft: Draft, time: datetime) -> None:
    """Let a time wait, or skip it, because another run is unfinished."""
    spec = view.schedule.spec
    if spec.overlap == "AbortOther":
        draft.skip("replaced", len(draft.buffered))
        draft.buffered = [time]
    elif spec.overlap in {"BufferOne", "BufferAll"}:
        if len(draft.buffered) < (1 if spec.overlap == "BufferOne" else spec.max_buffered):
            draft.buffered.append(time)
        else:
            draft.skip("bufferFull")
    else:
        draft.skip("overlap")
