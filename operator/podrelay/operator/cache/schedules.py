"""The TaskSchedules and their unfinished runs.

A finished run is kept until its schedule has taken note of it: if it were deleted before, a schedule that was
interrupted between the creation of the run and the write of its own status would start it again.
"""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from podrelay.api.phases import FINISHED
from podrelay.kube.resources import Key
from podrelay.operator.cache.collection import Collection
from podrelay.operator.objects.runs import TaskRun
from podrelay.operator.objects.schedules import TaskSchedule
from podrelay.operator.schedule_planner.view import ScheduleView
from podrelay.schedules.timetable import Timetable, TimetableError


@dataclass
class Observations:
    """What is known about a schedule besides its object; forgotten at the beginning of a leadership term."""

    uid: str
    is_current: bool = False
    """Whether the schedule was read live in this term: another leader may have decided times that the cache lacks."""
    started: set[str] = field(default_factory=set)
    gone: set[str] = field(default_factory=set)
    taken: set[str] = field(default_factory=set)
    refusal: str | None = None

    def status_written(self) -> None:
        """Forget what the status shows now."""
        self.started.clear()
        self.gone.clear()
        self.taken.clear()


@dataclass(frozen=True)
class _Rules:
    version: tuple[str, int]
    timetable: Timetable | None
    problem: str


class ScheduleCache:
    """All schedules.

    Args:
        mark: called with the key of each schedule that has to be reconciled.
        mark_run: called with the key of each run that no longer has to be kept for its schedule.
        find_run: returns a run.
        clock: returns the current time, aware, UTC.
        restored: called when the API server has gone back in time.
    """

    def __init__(
        self,
        mark: Callable[[Key], None],
        mark_run: Callable[[Key], None],
        find_run: Callable[[Key], TaskRun | None],
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        restored: Callable[[], None] = lambda: None,
    ) -> None:
        self._mark = mark
        self._mark_run = mark_run
        self._find_run = find_run
        self._clock = clock
        self.is_synced: Callable[[], bool] = lambda: True
        """Returns whether all schedules have been listed once; until then, no run of a schedule is deleted."""
        self.schedules: Collection[TaskSchedule] = Collection(_own_key, self._changed, restored=restored)
        self._unfinished: defaultdict[Key, dict[Key, None]] = defaultdict(dict)
        self._kept: defaultdict[Key, set[Key]] = defaultdict(set)
        self._observations: dict[Key, Observations] = {}
        self._rules: dict[Key, _Rules] = {}

    def begin_term(self) -> None:
        """Forget the observations of an earlier leadership term, and mark all schedules."""
        self._observations.clear()
        for key in self.schedules.all_keys():
            self._mark(key)

    def now(self) -> datetime:
        """Return the current time."""
        return self._clock()

    def schedule(self, key: Key) -> TaskSchedule | None:
        """Return one schedule."""
        return next(iter(self.schedules.of(key)), None)

    def observations(self, key: Key) -> Observations:
        """Return the observations of the schedule that has this name now, to be updated."""
        schedule = self.schedule(key)
        uid = schedule.metadata.uid if schedule is not None else ""
        known = self._observations.get(key)
        if known is None or known.uid != uid:
            known = Observations(uid)
            if schedule is not None:
                self._observations[key] = known
        return known

    def view(self, key: Key, excused: timedelta = timedelta()) -> ScheduleView | None:
        """Return all that is known about a schedule; None if there is none, or it is being deleted."""
        schedule = self.schedule(key)
        if schedule is None or schedule.metadata.deletion_timestamp is not None:
            return None
        rules, seen = self._rules_of(key, schedule), self.observations(key)
        runs = (self._find_run(run) for run in self._unfinished.get(key, ()))
        return ScheduleView(
            schedule=schedule,
            now=self._clock(),
            timetable=rules.timetable,
            problem=rules.problem,
            find=lambda name: self._find_run(Key(key.namespace, name)),
            unfinished=tuple(run for run in runs if run is not None),
            started=frozenset(seen.started),
            gone=frozenset(seen.gone),
            taken=frozenset(seen.taken),
            refusal=seen.refusal,
            excused=excused,
        )

    def run_changed(self, run: TaskRun, is_gone: bool) -> None:
        """Process a change of a run that belongs to a schedule."""
        assert run.spec.scheduled is not None  # noqa: S101 - the caller has checked it
        own = Key(run.metadata.namespace, run.metadata.name)
        schedule = Key(run.metadata.namespace, run.spec.scheduled.schedule)
        if is_gone or run.status.phase in FINISHED:
            has_changed = self._unfinished[schedule].pop(own, own) is None
            if not self._unfinished[schedule]:
                del self._unfinished[schedule]
        else:
            has_changed = own not in self._unfinished[schedule]
            self._unfinished[schedule][own] = None
        if is_gone:
            self._kept[schedule].discard(own)
        if has_changed:
            self._mark(schedule)

    def keeps(self, run: TaskRun) -> bool:
        """Return whether the schedule of a finished run has yet to take note of it."""
        if run.spec.scheduled is None:
            return False
        key = Key(run.metadata.namespace, run.spec.scheduled.schedule)
        schedule = self.schedule(key)
        is_kept = not self.is_synced() if schedule is None else not _is_noted(schedule, run)
        if is_kept:
            self._kept[key].add(Key(run.metadata.namespace, run.metadata.name))
        return is_kept

    def synced(self) -> None:
        """Release the runs of schedules that do not exist."""
        for key in list(self._kept):
            self._release(key)

    def _changed(self, key: Key) -> None:
        if self.schedule(key) is None:
            self._observations.pop(key, None)
            self._rules.pop(key, None)
        self._release(key)
        self._mark(key)

    def _release(self, key: Key) -> None:
        for run in self._kept.pop(key, ()):
            self._mark_run(run)

    def _rules_of(self, key: Key, schedule: TaskSchedule) -> _Rules:
        version = (schedule.metadata.uid, schedule.metadata.generation)
        known = self._rules.get(key)
        if known is not None and known.version == version:
            return known
        try:
            rules = _Rules(version, Timetable(schedule.spec.rules()), "")
        except TimetableError as error:
            rules = _Rules(version, None, str(error))
        self._rules[key] = rules
        return rules


def _is_noted(schedule: TaskSchedule, run: TaskRun) -> bool:
    status, scheduled, name = schedule.status, run.spec.scheduled, run.metadata.name
    assert scheduled is not None  # noqa: S101 - the caller has checked it
    if any(active.name == name for active in status.active):
        return False
    if scheduled.manual:
        return True
    if scheduled.backfill is not None:
        return _is_noted_by_backfill(schedule, scheduled.backfill, scheduled.time)
    is_decided = status.processed_until is not None and scheduled.time <= status.processed_until
    return is_decided and scheduled.time not in status.buffered


def _is_noted_by_backfill(schedule: TaskSchedule, name: str, time: datetime) -> bool:
    if not any(backfill.name == name for backfill in schedule.spec.backfills):
        return True
    status = next((item for item in schedule.status.backfills if item.name == name), None)
    if status is None or status.processed_until is None:
        return False
    return status.finished_at is not None or time <= status.processed_until


def _own_key(schedule: TaskSchedule) -> Key:
    return Key(schedule.metadata.namespace, schedule.metadata.name)
