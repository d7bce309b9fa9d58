"""The status of a schedule while the planner decides. It belongs to one call of the planner."""

from datetime import datetime

import msgspec

from podrelay.api.phases import FINISHED
from podrelay.operator.objects.runs import TaskRun
from podrelay.operator.objects.schedules import ActiveRun, LastRun, Skipped, TaskScheduleStatus
from podrelay.operator.schedule_planner.view import ScheduleView


class Draft:
    """A status that is being changed.

    Args:
        view: the view whose status is changed.
    """

    def __init__(self, view: ScheduleView) -> None:
        self._before = before = view.schedule.status
        self.processed_until = before.processed_until
        self.timetable = before.timetable
        self.buffered = list(before.buffered)
        self.backfills = list(before.backfills)
        self.started = before.started
        self.missed = before.missed
        self.consecutive_failures = before.consecutive_failures
        self._skipped = msgspec.to_builtins(before.skipped)
        self._outcomes = {"Succeeded": before.succeeded, "Failed": before.failed, "Aborted": before.aborted}
        self._active = {run.name: run for run in before.active}
        self.last_run = before.last_run

    def active(self, backfill: str | None = None) -> list[ActiveRun]:
        """Return the unfinished runs of a backfill, or of the schedule itself."""
        return [run for run in self._active.values() if run.backfill == backfill]

    def settle(self, name: str, run: TaskRun | None) -> None:
        """Remove a run from the active ones because it has finished, or no longer exists."""
        del self._active[name]
        if run is None:
            return
        phase = run.status.phase or ""
        self._outcomes[phase] += 1
        if phase == "Failed":
            self.consecutive_failures += 1
        elif phase == "Succeeded":
            self.consecutive_failures = 0
        if self.last_run is not None and self.last_run.name == name:
            self.last_run = msgspec.structs.replace(self.last_run, phase=phase, finished_at=run.status.finished_at)

    def add_active(self, name: str, time: datetime, backfill: str | None, run: TaskRun | None) -> None:
        """Note a run that exists."""
        if name in self._active:
            return
        self._active[name] = ActiveRun(name, time, backfill)
        created = run.metadata.creation_timestamp if run is not None else None
        if backfill is None and (self.last_run is None or self.last_run.scheduled_for <= time):
            self.last_run = LastRun(name, time, created)
        if run is None or run.status.phase in FINISHED:
            self.settle(name, run)

    def skip(self, reason: str, times: int = 1) -> None:
        """Count skipped times; `reason` is a field of Skipped as in JSON."""
        self._skipped[reason] = self._skipped.get(reason, 0) + times

    def status(self) -> TaskScheduleStatus:
        """Return the status without its conditions and next times."""
        active = tuple(sorted(self._active.values(), key=lambda run: (run.scheduled_for, run.name)))
        return self._before.changed(
            processed_until=self.processed_until,
            timetable=self.timetable,
            buffered=tuple(self.buffered),
            backfills=tuple(self.backfills),
            started=self.started,
            missed=self.missed,
            consecutive_failures=self.consecutive_failures,
            skipped=msgspec.convert(self._skipped, Skipped),
            succeeded=self._outcomes["Succeeded"],
            failed=self._outcomes["Failed"],
            aborted=self._outcomes["Aborted"],
            active=active,
            active_runs=len(active),
            last_run=self.last_run,
        )
