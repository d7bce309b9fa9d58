"""One replica of the operator: the real store, planner and executor, with its own place in each watch."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from podrelay.api import names
from podrelay.kube.errors import ApiError, TransportError
from podrelay.kube.resources import Key
from podrelay.local.memory_client import run
from podrelay.operator.cache.store import Store
from podrelay.operator.controllers.signal_reconciler import SignalReconciler
from podrelay.operator.executor.executor import Executor
from podrelay.operator.objects.definitions import TaskDefinition
from podrelay.operator.objects.records import Record
from podrelay.operator.objects.runs import TaskRun
from podrelay.operator.objects.signals import TaskSignal
from podrelay.operator.plan import ReleasePod
from podrelay.operator.planner import planner
from podrelay.operator.pods import Pod
from podrelay.operator.view import Settings
from tests.support.modelapi import ModelApi
from tests.support.projections import seen
from tests.support.relaymodel.leases import ReplicaLease
from tests.support.relaymodel.requests import Connection, Held

KINDS: dict[str, Any] = {
    "taskruns": TaskRun,
    "taskdefinitions": TaskDefinition,
    "taskiterations": Record,
    "pods": Pod,
    "tasksignals": TaskSignal,
}
ERRORS = (ApiError, TransportError, TimeoutError)


def is_foreign_pod(pod: dict[str, Any]) -> bool:
    """Return whether a pod has no label of Podrelay, so that no operator watches it."""
    return names.LABEL_RUN not in (pod["metadata"].get("labels") or {})


def _is_watched(plural: str, obj: dict[str, Any]) -> bool:
    return plural != "pods" or not is_foreign_pod(obj)


class Operator:
    """One replica.

    Args:
        api: the API server.
        keys: the runs that it reconciles; it ignores others, such as their children.
        settings: from its flags.
        skew: how wrong its clock is.
        led_since: when it became the leader; by default now.
        has_deadlines: whether it trusts the API server's clock.
    """

    def __init__(
        self,
        api: ModelApi,
        keys: Iterable[Key],
        settings: Settings | None = None,
        skew: timedelta = timedelta(),
        led_since: datetime | None = None,
        *,
        has_deadlines: bool = False,
    ) -> None:
        self.api = api
        self._keys = frozenset(keys)
        self.skew = skew
        self.connection = Connection(api)
        self.marked: dict[Key, None] = {}
        """Keys that the store has marked, in this order."""
        self.due: dict[Key, datetime] = {}
        """When other keys are due, by this operator's clock."""
        self.marked_signals: dict[Key, None] = {}
        self.is_standby = False
        self.lease = ReplicaLease(lambda: api.now, led_since, has_deadlines=has_deadlines)
        self.store = Store(
            self._mark,
            settings or Settings(),
            clock=lambda: self.now,
            mark_signal=self._mark_signal,
            creations=self.lease.creations,
        )
        self.executor = Executor(
            self.connection,
            self.store,
            self.lease,
            clock=lambda: self.now,
            schemas=self.connection,
        )
        self._signals = SignalReconciler(self.store, self.executor.for_signals, lambda _key, _seconds: None)
        self.held: dict[Key, Held] = {}
        """Runs in progress, whose response has not arrived yet."""
        self.late: list[Any] = []
        """Requests that have timed out, and may still take effect."""
        self.seen: dict[str, int] = {}
        self.relist()
        self.store.slots.open()

    @property
    def now(self) -> datetime:
        return self.api.now + self.skew

    def begin_term(self) -> None:
        """Become the leader, with the caches as they are."""
        for held in self.held.values():
            unsent = held.drop()
            if unsent is not None:
                self.late.append(unsent)
        self.held = {}
        self.store.begin_term()
        self.store.slots.open()
        self.lease.acquire()

    # --- its watches --------------------------------------------------------------------------------------------------

    def relist(self) -> None:
        for plural in KINDS:
            objects = [self._decoded(plural, obj) for obj in self.api.find(plural) if _is_watched(plural, obj)]
            self._collection(plural).replace(objects, str(self.api.version))
            self.seen[plural] = len(self.api.events)

    def see(self, count: int, kinds: Iterable[str] = tuple(KINDS)) -> None:
        """Process the next `count` events of these watches; each kind has its own watch, independent of the others."""
        for plural in kinds:
            new = self.api.events[self.seen[plural] : self.seen[plural] + count]
            self.seen[plural] = min(len(self.api.events), self.seen[plural] + count)
            for event in new:
                if event[0] == plural:
                    self._take(*event[:3])

    def see_all(self, but: str | None = None) -> None:
        """Process all events, except those of one kind, whose watch lags."""
        self.see(len(self.api.events), [plural for plural in KINDS if plural != but])

    def see_again(self, back: int) -> None:
        """Process an event a second time, long after it was new."""
        for event in self.api.events[-back - 1 :][:1]:
            if self.api.events.index(event) < self.seen[event[0]]:
                self._take(*event[:3])

    def _take(self, plural: str, event: str, obj: dict[str, Any]) -> None:
        if not _is_watched(plural, obj):
            return
        converted = self._decoded(plural, obj)
        collection = self._collection(plural)
        (collection.remove if event == "DELETED" else collection.apply)(converted)

    def _decoded(self, plural: str, obj: dict[str, Any]) -> Any:
        """Return the operator's projection of an object; each version is decoded only once."""
        about = (obj["metadata"]["uid"], obj["metadata"]["resourceVersion"])
        if about not in self.api.decoded:
            self.api.decoded[about] = seen(obj, KINDS[plural])
        return self.api.decoded[about]

    def _collection(self, plural: str) -> Any:
        return {
            "taskruns": self.store.runs,
            "taskdefinitions": self.store.definitions,
            "taskiterations": self.store.records,
            "pods": self.store.pods,
            "tasksignals": self.store.inboxes.signals,
        }[plural]

    def _mark(self, key: Key) -> None:
        if key in self._keys:
            self.marked[key] = None

    def _mark_signal(self, key: Key) -> None:
        self.marked_signals[key] = None

    # --- its actions --------------------------------------------------------------------------------------------------

    def step(self, key: Key | None = None, holds: Iterable[str | None] = ()) -> bool:
        """Plan one run and carry out one action; return whether there was one.

        Without a key, it is the only run. `holds` says where its requests are held; see `Connection`.
        """
        key = key or next(iter(self._keys))
        if key in self.held or self.lease.is_stopped:
            return False
        self.marked.pop(key, None)
        self.due.pop(key, None)
        view = self.store.view(key)
        if view is None:
            return self._release_pods(key)
        plan = planner.plan(view)
        if plan.actions:
            return self._do(key, self.executor.carry_out(key, view, plan.actions[0]), holds)
        if plan.status is not None and plan.status != view.run.status:
            return self._do(key, self.executor.write_status(key, view, plan), holds)
        if plan.requeue_at is not None:
            self.due[key] = plan.requeue_at
        return False

    def judge(self) -> bool:
        """Judge one signal; return whether there was one."""
        if not self.marked_signals:
            return False
        key = next(iter(self.marked_signals))
        del self.marked_signals[key]
        run(self._signals.reconcile(key))
        return True

    def _release_pods(self, key: Key) -> bool:
        actions = planner.plan_without_run(self.store.pods.of(key)).actions
        for action in actions:
            assert isinstance(action, ReleasePod)
            try:
                run(self.executor.release_pod(key, action.pod))
            except ERRORS:
                self.due[key] = self.now + timedelta(seconds=1)
        return bool(actions)

    def _do(self, key: Key, coroutine: Any, holds: Iterable[str | None]) -> bool:
        self.connection.holds = list(holds)
        try:
            held = Held.begin(coroutine, self.connection)
        except ERRORS:
            self.due[key] = self.now + timedelta(seconds=1)
            held = None
        else:
            self._mark(key)
        self.connection.holds = []
        if held is not None:
            self.held[key] = held
        return True

    def proceed(self, key: Key, *, is_lost: bool = False) -> None:
        """Let the response arrive that a run waits for; with `is_lost`, the request times out instead."""
        held = self.held.pop(key)
        if is_lost and held.unsent is not None:
            self.late.append(held.unsent)
        try:
            is_held = held.lose() if is_lost else held.deliver()
        except ERRORS:
            self.due[key] = self.now + timedelta(seconds=1)
            return
        if is_held:
            self.held[key] = held
        self._mark(key)

    def die(self) -> list[Any]:
        """End like a killed process; return the requests that may still take effect."""
        for held in self.held.values():
            unsent = held.drop()
            if unsent is not None:
                self.late.append(unsent)
        self.held = {}
        return self.late

    def work(self, most: int = 1000, but: str | None = None) -> bool:
        """See all events and carry out everything that is due, as with the queue; return whether that came to an end.

        Only runs that are marked or due are planned: a run that the store fails to mark makes no progress.
        """
        if self.lease.is_stopped:
            self.see_all(but)
            return True
        for _ in range(most):
            self.see_all(but)
            if self.judge():
                continue
            key = next((key for key in [*self.marked, *self._overdue()] if key not in self.held), None)
            if key is None:
                return True
            self.step(key)
        return False

    def _overdue(self) -> list[Key]:
        return [key for key, due in self.due.items() if due <= self.now]

    @property
    def next_look(self) -> datetime | None:
        """When the next run is due, by the clock of the API server."""
        due = min(self.due.values(), default=None)
        return due - self.skew if due is not None else None
