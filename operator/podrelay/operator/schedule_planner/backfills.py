"""The backfills of a schedule: runs for times in the past, at a limited rate. Pure functions."""

from datetime import datetime, timedelta
from typing import Final, NamedTuple

import msgspec

from podrelay.api import limits
from podrelay.operator.objects.schedules import Backfill, BackfillStatus
from podrelay.operator.schedule_planner import due_times
from podrelay.operator.schedule_planner.draft import Draft
from podrelay.operator.schedule_planner.plan import Action
from podrelay.operator.schedule_planner.view import ScheduleView
from podrelay.schedules.timetable import Timetable

_SECOND: Final = timedelta(seconds=1)


class Progress(NamedTuple):
    """What all backfills need now."""

    actions: list[Action]
    requeue_at: datetime | None
    is_partial: bool
    """Whether more can be decided now, once the status is written."""


def advance(view: ScheduleView, timetable: Timetable, draft: Draft) -> Progress:
    """Continue each backfill; forget those that were removed from the spec."""
    known = {status.name: status for status in draft.backfills}
    draft.backfills = []
    actions: list[Action] = []
    requeue: list[datetime] = []
    is_partial = False
    for backfill in view.schedule.spec.backfills:
        status = known.get(backfill.name, BackfillStatus(backfill.name))
        if status.finished_at is None:
            work = _Work(view, timetable, draft, backfill, status)
            work.advance()
            status = work.status
            actions += work.actions
            requeue += work.requeue
            is_partial |= work.is_partial
        draft.backfills.append(status)
    return Progress(actions, min(requeue, default=None), is_partial)


class _Work:
    def __init__(
        self, view: ScheduleView, timetable: Timetable, draft: Draft, backfill: Backfill, status: BackfillStatus
    ) -> None:
        self._view = view
        self._timetable = timetable
        self._draft = draft
        self._backfill = backfill
        self.status = status
        self.actions: list[Action] = []
        self.requeue: list[datetime] = []
        self.is_partial = False

    def advance(self) -> None:
        """Take note of existing runs until one must be created, or nothing remains."""
        last = min(self._backfill.until - _SECOND, self._draft.processed_until or self._view.now)
        since = self.status.processed_until or self._backfill.from_ - _SECOND
        # One by one: to find the next times costs more than to decide about one.
        for number, time in enumerate(self._timetable.after(since)):
            if time > last:
                break
            if number == due_times.MOST_AT_ONCE:
                self.is_partial = True
                return
            if not self._take_note(time):
                self._start(time)
                return
        self._finish()

    def _finish(self) -> None:
        self.status = msgspec.structs.replace(self.status, finished_at=self._view.now.replace(microsecond=0))

    def _take_note(self, time: datetime) -> bool:
        """Return whether a time has a run, and count it."""
        view, name = self._view, due_times.name_of(self._view, time)
        run = view.find(name)
        if run is None and name not in view.started and name not in view.taken:
            return False
        scheduled = run.spec.scheduled if run is not None and due_times.is_for(view, run, time) else None
        is_own = scheduled is not None and scheduled.backfill == self._backfill.name
        is_own |= run is None and name in view.started
        counts = {"started": self.status.started + 1} if is_own else {"existing": self.status.existing + 1}
        if is_own:
            self._draft.add_active(name, time, self._backfill.name, run)
        at = view.now if is_own else self.status.last_started_at
        self.status = msgspec.structs.replace(self.status, processed_until=time, last_started_at=at, **counts)
        return True

    def _start(self, time: datetime) -> None:
        view, active = self._view, self._draft.active(self._backfill.name)
        if view.refusal is not None or len(active) >= limits.SCHEDULE_ACTIVE_RUNS:
            return
        if self._backfill.overlap == "OneByOne" and active:
            return
        pause = timedelta(minutes=1) / self._backfill.starts_per_minute
        last = self.status.last_started_at
        if last is not None and last <= view.now < last + pause:
            self.requeue.append(last + pause)
            return
        self.actions.append(due_times.start(view, self._timetable, time, self._backfill.name, view.now))
