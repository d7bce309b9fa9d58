"""A small world for TaskRuns: one operator and one node, without a network.

`run_to_the_end` is its main loop. All decisions are made in the thread that calls it; other threads (of containers that
are processes) only put changes into the inbox and wake the main loop.
"""

import base64
import contextlib
import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import msgspec

from podrelay.api import names, run_names
from podrelay.api.phases import FINISHED
from podrelay.kube.errors import AlreadyExistsError, InvalidError, NotFoundError
from podrelay.kube.resources import Key
from podrelay.local import allowed_overrides, memory_client, schema
from podrelay.local.clock import Clock
from podrelay.local.errors import NotRunnableHereError, SecretError, StuckError
from podrelay.local.history import Event
from podrelay.local.inbox import Inbox
from podrelay.local.kinds import SECRETS
from podrelay.local.kubelet import Kubelet, Runtime
from podrelay.local.memory_api import PODS, MemoryApi, Object
from podrelay.local.memory_client import MemoryClient
from podrelay.operator import object_rules
from podrelay.operator.cache.store import Store
from podrelay.operator.controllers.reconciler import NotSettledError, Reconciler
from podrelay.operator.controllers.signal_reconciler import SignalReconciler
from podrelay.operator.executor.executor import Executor
from podrelay.operator.objects.definitions import TaskDefinition
from podrelay.operator.objects.records import Record
from podrelay.operator.objects.runs import TaskRun
from podrelay.operator.objects.signals import TaskSignal
from podrelay.operator.pods import Pod
from podrelay.operator.view import Settings
from podrelay.schemas.verdict import Verdict

NAMESPACE: Final = "default"
_SECRET: Final = "local"  # noqa: S105 - a name
_SECRET_KEY: Final = re.compile(r"[-._a-zA-Z0-9]{1,253}")
_LONGEST_WAIT: Final = 3600.0
"""Seconds. After this time at the latest, the clock is checked again, because the computer may have been suspended."""


class _AlwaysLeads:
    def require(self) -> None:
        """Do nothing: there is no other operator."""

    def good_until(self) -> None:
        """Return no time limit."""


class _ByModels:
    """Checks payloads of signals with the models that their schemas were generated from.

    Other schemas are not checked: the runner itself checks inputs, and a schema that is not from a model needs a
    package that tasks do not have.
    """

    def __init__(self) -> None:
        self._checks: dict[str, Callable[[Any], Mapping[str, Any]]] = {}

    def add(self, schema: Object, check: Callable[[Any], Mapping[str, Any]]) -> None:
        """Check values for this schema with a function that returns the invalid fields."""
        self._checks[run_names.canonical(schema)] = check

    async def check(self, schema: Object, input: Object | None = None) -> Verdict:
        """Return what is wrong with a value."""
        check = self._checks.get(run_names.canonical(schema))
        return Verdict(fields=dict(check(input or {}))) if check is not None else Verdict()


class World:
    """Everything that a TaskRun needs.

    Args:
        folder: directory for files of the containers; only this user may have access to it.
        clock: the time.
        skips_waits: whether to skip time in which nothing runs, instead of waiting.
        changed: called with every change of an object, in the thread of the main loop.
    """

    def __init__(
        self,
        folder: Path,
        clock: Clock,
        *,
        skips_waits: bool,
        changed: Callable[[Event], None] = lambda _event: None,
    ) -> None:
        self.clock = clock
        self.runs: dict[str, Object] = {}
        """The latest version of every TaskRun by name, including deleted ones."""
        self.records: dict[str, Object] = {}
        """The latest version of every record by name, including deleted ones."""
        self.deleted_runs: set[str] = set()
        self._folder = folder
        self._skips_waits = skips_waits
        self._changed = changed
        self._inbox = Inbox()
        self._dirty: dict[Key, None] = {}
        self._due: dict[Key, datetime] = {}
        self.api = MemoryApi(clock.now, self._inbox.put, admit=self._admit)
        self._dirty_signals: dict[Key, None] = {}
        self._store = Store(
            self._mark,
            Settings(default_ttl=None, creates_ahead=False),
            clock=clock.now,
            mark_signal=self._mark_signal,
        )
        self._store.slots.open()
        client = MemoryClient(self.api)
        self._checks = _ByModels()
        executor = Executor(client, self._store, _AlwaysLeads(), clock.now, self._checks)
        # A signal for a run that does not exist yet waits for it without a time limit here.
        self._signals = SignalReconciler(self._store, executor.for_signals, lambda _key, _seconds: None)
        self._reconciler = Reconciler(self._store, executor, self._requeue, refresh=self._drain)
        self._appointments: list[tuple[datetime, Callable[[], object]]] = []
        self._kubelet: Kubelet | None = None
        self._is_settling = False

    # --- what a user does -------------------------------------------------------------------------------------------

    def use(self, runtime: Runtime) -> None:
        """Start containers with `runtime`."""
        self._kubelet = Kubelet(self.api, runtime, self._folder, self.clock.now)

    def define(self, manifest: Object) -> None:
        """Apply a TaskDefinition.

        Raises:
            InvalidError: the definition is invalid.
            NotRunnableHereError: it reports by termination message, so its program is in a container image.
        """
        stored = self.api.create(names.TASK_DEFINITIONS, NAMESPACE, manifest)
        if stored["spec"]["reporting"] == names.REPORTING_TERMINATION_MESSAGE:
            raise NotRunnableHereError(
                f"{stored['metadata']['name']} has reporting TerminationMessage: its program is in its container "
                "image, which needs a cluster; only tasks that report by API, as Python classes do, can run here"
            )

    def check_signals(self, schema: Object, check: Callable[[Any], Mapping[str, Any]]) -> None:
        """Check payloads that must satisfy a schema with a function that returns the invalid fields."""
        self._checks.add(schema, check)

    def send_signal(self, manifest: Object) -> None:
        """Create a TaskSignal; without effect if it exists.

        Raises:
            InvalidError: the TaskSignal is invalid.
        """
        with contextlib.suppress(AlreadyExistsError):
            self.api.create(names.TASK_SIGNALS, NAMESPACE, manifest)

    def add_secret(self, values: Mapping[str, str]) -> str:
        """Create the Secret that runs may name, and return its name.

        Raises:
            SecretError: a key is not valid in a Secret.
        """
        for key in values:
            if not _SECRET_KEY.fullmatch(key) or key.startswith(".."):
                raise SecretError(f"{key!r} cannot be the key of a Secret: letters, digits, '-', '_' and '.'")
        data = {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}
        self.api.create(SECRETS, NAMESPACE, {"metadata": {"name": _SECRET}, "data": data})
        return _SECRET

    def create_run(self, manifest: Object) -> str:
        """Create a TaskRun and return its name.

        Raises:
            InvalidError: the TaskRun is invalid.
        """
        name: str = self.api.create(names.TASK_RUNS, NAMESPACE, manifest)["metadata"]["name"]
        return name

    def abort(self, name: str, message: str) -> None:
        """Abort a run; has no effect on a finished run. May be called by any thread."""
        try:
            self.api.patch(names.TASK_RUNS, NAMESPACE, name, {"spec": {"abort": {"message": message}}})
        except (InvalidError, NotFoundError):  # finished, aborted before, or deleted
            return

    def abort_all(self, message: str) -> None:
        """Abort all unfinished runs. May be called by any thread."""
        for run in self.api.find(names.TASK_RUNS, NAMESPACE).items:
            self.abort(run["metadata"]["name"], message)

    def call_after(self, seconds: float, action: Callable[[], object]) -> None:
        """Call `action` in the main loop after this many seconds."""
        self._appointments.append((self.clock.now() + timedelta(seconds=seconds), action))

    def kill_all(self) -> None:
        """Kill every container at once. May be called by any thread."""
        if self._kubelet is not None:
            self._kubelet.kill_all()

    def wake(self) -> None:
        """Wake the main loop. May be called by any thread, and by signal handlers."""
        self._inbox.wake()

    # --- the main loop ----------------------------------------------------------------------------------------------

    def run_to_the_end(self) -> None:
        """Run the main loop until all runs are finished, including their hooks.

        Raises:
            StuckError: a run is not finished, but nothing will ever continue it.
        """
        assert self._kubelet is not None  # noqa: S101 - a programming error
        while True:
            self.settle()
            if self._kubelet.start_next():
                continue
            if not self._kubelet.is_busy and not self._unfinished():
                return
            self._wait(self._kubelet)

    def settle(self) -> None:
        """Let operator and kubelet do everything that is due now, except for starting containers."""
        if self._is_settling:
            return  # a container that is being terminated sends requests meanwhile
        self._is_settling = True
        try:
            self._settle()
        finally:
            self._is_settling = False

    def _settle(self) -> None:
        now = self.clock.now()
        for appointment in [appointment for appointment in self._appointments if appointment[0] <= now]:
            self._appointments.remove(appointment)
            appointment[1]()
        self._drain()
        for key in [key for key, due in self._due.items() if due <= now]:
            self._mark(key)
        is_moving = True
        while is_moving or self._dirty or self._dirty_signals:
            while self._dirty or self._dirty_signals:
                if self._dirty_signals:
                    self._judge(_taken(self._dirty_signals))
                else:
                    self._reconcile(_taken(self._dirty))
            is_moving = self.api.collect_garbage()
            if self._kubelet is not None and self._kubelet.sync():
                is_moving = True
            self._drain()

    def _reconcile(self, key: Key) -> None:
        self._due.pop(key, None)
        try:
            memory_client.run(self._reconciler.reconcile(key))
        except NotSettledError as error:
            raise StuckError(f"{key.name} does not settle; this is a bug in Podrelay") from error

    def _judge(self, key: Key) -> None:
        memory_client.run(self._signals.reconcile(key))
        self._drain()

    def _mark_signal(self, key: Key) -> None:
        self._dirty_signals[key] = None

    def _requeue(self, key: Key, seconds: float) -> None:
        self._due[key] = self.clock.now() + timedelta(seconds=seconds)

    def _unfinished(self) -> dict[Key, TaskRun]:
        runs = ((key, self._store.run(key)) for key in self._store.runs.all_keys())
        return {key: run for key, run in runs if run is not None and _is_open(run)}

    def _wait(self, kubelet: Kubelet) -> None:
        unfinished = self._unfinished()
        due = [at for key, at in self._due.items() if key in unfinished]
        due += [at for at, _ in self._appointments]
        at = kubelet.next_due()
        until = min([*due, *([at] if at is not None else [])], default=None)
        if until is None:
            key, run = next(iter(unfinished.items()))
            raise StuckError(f"{key.name} will never continue: {run.status.reason}: {run.status.message}")
        left = max(0.0, (until - self.clock.now()).total_seconds())
        if self._skips_waits and not kubelet.is_busy:
            self.clock.advance(left)
            return
        self._inbox.wait(min(left, _LONGEST_WAIT))

    def _admit(self, plural: str, before: Object | None, after: Object) -> Object:
        admitted = schema.admitted(plural, before, after)
        allowed_overrides.check(plural, before, admitted, self._definition)
        return admitted

    def _definition(self, namespace: str, name: str) -> Object:
        return self.api.get(names.TASK_DEFINITIONS, namespace, name)

    # --- changes ----------------------------------------------------------------------------------------------------

    def _mark(self, key: Key) -> None:
        self._dirty[key] = None

    def _drain(self) -> None:
        for event in self._inbox.taken():
            self._see(event)

    def _see(self, event: Event) -> None:
        kinds: dict[str, tuple[type[Any], Any]] = {
            PODS: (Pod, self._store.pods),
            names.TASK_DEFINITIONS: (TaskDefinition, self._store.definitions),
            names.TASK_RUNS: (TaskRun, self._store.runs),
            names.TASK_ITERATIONS: (Record, self._store.records),
            names.TASK_SIGNALS: (TaskSignal, self._store.inboxes.signals),
        }
        if event.plural not in kinds:
            return
        kind, collection = kinds[event.plural]
        projection = msgspec.json.decode(msgspec.json.encode(event.object), type=kind)
        if event.is_deletion:
            collection.remove(projection)
        else:
            collection.apply(projection)
        name = event.object["metadata"]["name"]
        if event.plural == names.TASK_RUNS:
            self.runs[name] = event.object
            if event.is_deletion:
                self.deleted_runs.add(name)
        elif event.plural == names.TASK_ITERATIONS:
            self.records[name] = event.object
            if self._kubelet is not None:
                self._kubelet.read_output(event.object)  # a pod prints before it answers, so that is shown first
        elif event.plural == PODS and self._kubelet is not None:
            self._kubelet.see(event.object, is_deletion=event.is_deletion)
        self._changed(event)


def _taken(keys: dict[Key, None]) -> Key:
    key = next(iter(keys))
    del keys[key]
    return key


def _is_open(run: TaskRun) -> bool:
    return run.status.phase not in FINISHED or object_rules.hooks_follow(run.status)
