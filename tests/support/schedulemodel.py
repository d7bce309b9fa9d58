"""Schedules in virtual time: the API server in memory, and operators with the real cache, planner and executor.

Operators see changes late, have wrong clocks, and are killed at any write. A write of a killed operator may still
arrive; the fence of the API server refuses such a run, and resource versions refuse such a status.
"""

import contextlib
from collections import Counter, deque
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from dev.harness.manifests import Manifest
from podrelay.api import names
from podrelay.api.phases import FINISHED
from podrelay.kube.errors import ApiError, ConflictError, InvalidError, NotFoundError
from podrelay.kube.resources import Key
from podrelay.local import memory_client
from podrelay.local.history import Event
from podrelay.local.memory_api import MemoryApi
from podrelay.local.memory_client import MemoryClient
from podrelay.operator.cache.schedules import ScheduleCache
from podrelay.operator.cache.store import Store
from podrelay.operator.controllers.schedule_reconciler import RunRefusedError, ScheduleReconciler
from podrelay.operator.executor.schedules import ScheduleExecutor
from podrelay.operator.objects.runs import TaskRun
from podrelay.operator.objects.schedules import TaskSchedule, TaskScheduleStatus
from podrelay.operator.view import Settings
from podrelay.schedules.timetable import Timetable
from tests.support.schedules import task_schedule

NAMESPACE = "default"
BEGIN = datetime(2026, 3, 28, 12, tzinfo=UTC)


class Killed(Exception):  # noqa: N818 - not an error of the operator
    """The operator was killed at this write."""


class MortalClient(MemoryClient):
    """A client whose process is killed at its n-th write: before it, or after it has arrived."""

    def __init__(self, server: MemoryApi) -> None:
        super().__init__(server)
        self.writes_left: int | None = None
        self.is_killed_after = False
        self.refusal: ApiError | None = None
        self.late: list[tuple[str, str, dict[str, Any]]] = []

    async def request(self, method: str, path: str, **options: Any) -> bytes:
        if method == "POST" and self.refusal is not None:
            raise self.refusal
        if method == "GET" or self.writes_left is None:
            return await super().request(method, path, **options)
        self.writes_left -= 1
        if self.writes_left > 0:
            return await super().request(method, path, **options)
        self.writes_left = None
        if self.is_killed_after:
            await super().request(method, path, **options)
        else:
            self.late.append((method, path, options))
        raise Killed


class AlwaysLeads:
    def require(self) -> None:
        pass

    def good_until(self) -> datetime | None:
        return None


async def _permit() -> None:
    pass


class Operator:
    """One process: its caches, which follow the API server event by event."""

    def __init__(self, world: "World") -> None:
        self.world = world
        self.skew = timedelta()
        self.excused = timedelta()
        self.inbox: deque[Event] = deque()
        self.marked: dict[Key, None] = {}
        self.due: dict[Key, datetime] = {}
        self.client = MortalClient(world.api)
        self.schedules = ScheduleCache(
            self._mark,
            lambda _key: None,
            lambda key: self.store.run(key),  # noqa: PLW0108 - made later
            self.now,
        )
        self.store = Store(
            lambda _key: None,
            Settings(),
            clock=self.now,
            scheduled_run_changed=self.schedules.run_changed,
            is_kept_for_its_schedule=self.schedules.keeps,
        )
        executor = ScheduleExecutor(self.client, self.schedules, self.store, AlwaysLeads())
        self.reconciler = ScheduleReconciler(self.schedules, executor, self._requeue, _permit)
        for plural in (names.TASK_SCHEDULES, names.TASK_RUNS):
            for item in world.api.find(plural, NAMESPACE).items:
                self._see(Event(plural, "ADDED", item))

    def now(self) -> datetime:
        return self.world.now + self.skew

    def sync(self, events: int | None = None) -> None:
        """Process this many events, or all."""
        for _ in range(len(self.inbox) if events is None else min(events, len(self.inbox))):
            self._see(self.inbox.popleft())

    def work(self, events: int | None = None) -> bool:
        """Reconcile what is due; return False if the process was killed."""
        self.sync(events)
        for key in [key for key, at in self.due.items() if at <= self.now()]:
            del self.due[key]
            self.marked[key] = None
        while self.marked:
            key = next(iter(self.marked))
            del self.marked[key]
            try:
                memory_client.run(self.reconciler.reconcile(key, self.excused))
            except Killed:
                return False
            except RunRefusedError:
                self.due[key] = self.now() + timedelta(seconds=1)
            self.sync(events)
        return True

    def collect(self) -> None:
        """Delete the finished runs whose TTL, which is 0, has passed, unless their schedule needs them."""
        for key in list(self.store.runs.all_keys()):
            run = self.store.run(key)
            if (
                run is not None
                and run.status.phase in {"Succeeded", "Failed", "Aborted"}
                and not self.schedules.keeps(run)
            ):
                self.world.delete_run(key.name)

    def _mark(self, key: Key) -> None:
        self.marked[key] = None

    def _requeue(self, key: Key, seconds: float) -> None:
        self.due[key] = self.now() + timedelta(seconds=seconds)

    def _see(self, event: Event) -> None:
        kinds: dict[str, tuple[type[Any], Any]] = {
            names.TASK_RUNS: (TaskRun, self.store.runs),
            names.TASK_SCHEDULES: (TaskSchedule, self.schedules.schedules),
        }
        kind, collection = kinds[event.plural]
        projection = msgspec.json.decode(msgspec.json.encode(event.object), type=kind)
        (collection.remove if event.is_deletion else collection.apply)(projection)


class World:
    """A cluster with one schedule."""

    def __init__(self, **spec: Any) -> None:
        self.now = BEGIN
        self.created: Counter[str] = Counter()
        self.status_writes = 0
        self.operators: list[Operator] = []
        self.api = MemoryApi(lambda: self.now, self._notify)
        self.name = "nightly"
        self.api.create(names.TASK_SCHEDULES, NAMESPACE, task_schedule(self.name, **spec))

    @property
    def schedule(self) -> TaskSchedule:
        stored = self.api.get(names.TASK_SCHEDULES, NAMESPACE, self.name)
        return msgspec.json.decode(msgspec.json.encode(stored), type=TaskSchedule)

    @property
    def status(self) -> TaskScheduleStatus:
        return self.schedule.status

    @property
    def timetable(self) -> Timetable:
        return Timetable(self.schedule.spec.rules())

    def operator(self) -> Operator:
        """Start an operator, which has listed everything."""
        operator = Operator(self)
        self.operators.append(operator)
        return operator

    def runs(self) -> list[Manifest]:
        return self.api.find(names.TASK_RUNS, NAMESPACE).items

    def unfinished(self) -> list[str]:
        return [
            run["metadata"]["name"]
            for run in self.runs()
            if run["status"].get("phase") not in {"Succeeded", "Failed", "Aborted"}
        ]

    def patch(self, **spec: Any) -> None:
        self.api.patch(names.TASK_SCHEDULES, NAMESPACE, self.name, {"spec": spec})

    def annotate(self, annotation: str, value: str) -> None:
        patch = {"metadata": {"annotations": {annotation: value}}}
        self.api.patch(names.TASK_SCHEDULES, NAMESPACE, self.name, patch)

    def finish(self, name: str, phase: str = "Succeeded") -> None:
        at = f"{self.now:%Y-%m-%dT%H:%M:%SZ}"
        self.api.patch(
            names.TASK_RUNS, NAMESPACE, name, {"status": {"phase": phase, "finishedAt": at}}, subresource="status"
        )

    def finish_all(self, phase: str = "Succeeded") -> None:
        for name in self.unfinished():
            self.finish(name, phase)

    def delete_run(self, name: str) -> None:
        with contextlib.suppress(NotFoundError):
            self.api.delete(names.TASK_RUNS, NAMESPACE, name)

    def deliver_late(self, operator: Operator) -> None:
        """Deliver the writes of a killed operator, after another one has taken over."""
        for method, path, options in operator.client.late:
            if method == "POST":
                continue  # the policy podrelay-fence refuses it
            with contextlib.suppress(ConflictError, InvalidError, NotFoundError):
                memory_client.run(MemoryClient.request(operator.client, method, path, **options))
        operator.client.late.clear()

    def play(self, operator: Operator, *, until: datetime | timedelta, finish: str | None = None) -> None:
        """Let time pass, with everything that is due at its time; runs finish at once with the phase `finish`."""
        end = until if isinstance(until, datetime) else self.now + until
        while True:
            operator.work()
            self._end_aborted()
            if operator.inbox:
                continue
            if finish is not None and self.unfinished():
                self.finish_all(finish)
                continue
            upcoming = min(operator.due.values(), default=end) - operator.skew
            if upcoming > end:
                self.now = end
                operator.work()
                return
            self.now = max(self.now, upcoming)
            if self.now >= end:
                operator.work()
                return

    def _end_aborted(self) -> None:
        for run in self.runs():
            if "abort" in run["spec"] and run["status"].get("phase") not in FINISHED:
                self.finish(run["metadata"]["name"], "Aborted")

    def _notify(self, event: Event) -> None:
        if event.plural == names.TASK_RUNS and event.type == "ADDED":
            self.created[event.object["metadata"]["name"]] += 1
        if event.plural == names.TASK_SCHEDULES and event.type == "MODIFIED":
            self.status_writes += 1
        for operator in self.operators:
            operator.inbox.append(event)


def accounted(status: TaskScheduleStatus) -> int:
    """Return how many times a schedule has decided by its counters, including those that wait."""
    skipped = status.skipped
    reasons = (skipped.overlap, skipped.buffer_full, skipped.replaced, skipped.suspended, skipped.name_taken)
    return status.started + status.missed + sum(reasons) + len(status.buffered)


def times_between(timetable: Timetable, begin: datetime, end: datetime) -> list[datetime]:
    """Return the times later than `begin`, until `end`."""
    found = []
    for time in timetable.after(begin):
        if time > end:
            break
        found.append(time)
    return found
