"""A small world for TaskRuns: one operator, one node, no network between them.

`run_to_the_end` is its main loop. All decisions are made in the thread that calls it; other threads (of containers that
are processes) only put changes into the inbox and wake it up.
"""

import queue
import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import msgspec

from podrelay.api import names
from podrelay.api.phases import FINISHED
from podrelay.kube.errors import InvalidError, NotFoundError
from podrelay.kube.resources import Key
from podrelay.local import memory_client
from podrelay.local.clock import Clock
from podrelay.local.errors import NotRunnableHereError, SecretError, StuckError
from podrelay.local.kubelet import SECRET_FOLDER, Kubelet, Runtime
from podrelay.local.memory_api import PODS, Event, MemoryApi, Object
from podrelay.local.memory_client import MemoryClient
from podrelay.operator import object_rules
from podrelay.operator.cache.store import Store
from podrelay.operator.controllers.reconciler import NotSettledError, Reconciler
from podrelay.operator.executor.executor import Executor
from podrelay.operator.objects import Record, TaskDefinition, TaskRun
from podrelay.operator.pods import Pod
from podrelay.operator.view import Settings
from podrelay.schemas.verdict import Verdict

NAMESPACE: Final = "default"
_SECRET: Final = "local"  # noqa: S105 - a name
_SECRET_KEY: Final = re.compile(r"[-._a-zA-Z0-9]{1,253}")
_LONGEST_WAIT: Final = 3600.0
"""Seconds. A computer that slept through a wait looks at the clock again after this time at the latest."""


class _AlwaysLeads:
    def require(self) -> None:
        """There is no other operator."""


class _LeftToThePod:
    async def check(self, schema: object, input: object = None) -> Verdict:
        """Whether an input fits, the runner finds out: it has the models that the schema was made from."""
        return Verdict()


class World:
    """Everything that a TaskRun needs.

    Args:
        folder: for files of the containers; only this user may enter it.
        clock: the time.
        skips_waits: time in which nothing runs is skipped; otherwise it is waited for.
        changed: called with every change of an object, by the thread of the main loop.
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
        """Every TaskRun by its name, as it is or was last; deleted ones, too."""
        self.records: dict[str, Object] = {}
        """Every record by its name, likewise."""
        self.deleted_runs: set[str] = set()
        self._folder = folder
        self._skips_waits = skips_waits
        self._changed = changed
        self._inbox: queue.SimpleQueue[Event] = queue.SimpleQueue()
        # A SimpleQueue, because a signal handler may put something into it whatever it has interrupted.
        self._bell: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._dirty: dict[Key, None] = {}
        self._due: dict[Key, datetime] = {}
        self.api = MemoryApi(clock.now, self._take)
        self._store = Store(self._mark, Settings(default_ttl=None), clock=clock.now)
        self._store.slots.open()
        client = MemoryClient(self.api)
        executor = Executor(client, self._store, _AlwaysLeads(), clock.now, _LeftToThePod())
        self._reconciler = Reconciler(self._store, executor, self._requeue, refresh=self._drain)
        self._appointments: list[tuple[datetime, Callable[[], None]]] = []
        self._kubelet: Kubelet | None = None
        self._is_settling = False

    # --- what a user does -------------------------------------------------------------------------------------------

    def use(self, runtime: Runtime) -> None:
        """Start containers with `runtime`."""
        self._kubelet = Kubelet(self.api, runtime, self._folder, self.clock.now)

    def define(self, manifest: Object) -> None:
        """Apply a TaskDefinition.

        Raises:
            InvalidError: it is invalid.
            NotRunnableHereError: it reports by termination message, so its program is one of a container image.
        """
        stored = self.api.create(names.TASK_DEFINITIONS, NAMESPACE, manifest)
        if stored["spec"]["reporting"] == names.REPORTING_TERMINATION_MESSAGE:
            raise NotRunnableHereError(
                f"{stored['metadata']['name']} has reporting TerminationMessage: its program is whatever its container "
                "image runs, which needs a cluster; only tasks that report by API, as Python classes do, run here"
            )

    def add_secret(self, values: Mapping[str, str]) -> str:
        """Make the Secret that runs may name, and return its name.

        Raises:
            SecretError: a key is none that a Secret can have.
        """
        folder = self._folder / SECRET_FOLDER
        folder.mkdir(mode=0o700)
        for key, value in values.items():
            if not _SECRET_KEY.fullmatch(key) or key.startswith(".."):
                raise SecretError(f"{key!r} cannot be the key of a Secret: letters, digits, '-', '_' and '.'")
            with (folder / key).open("w", encoding="utf-8", newline="") as file:
                file.write(value)
        return _SECRET

    def create_run(self, manifest: Object) -> str:
        """Create a TaskRun and return its name.

        Raises:
            InvalidError: it is invalid.
        """
        name: str = self.api.create(names.TASK_RUNS, NAMESPACE, manifest)["metadata"]["name"]
        return name

    def abort(self, name: str, message: str) -> None:
        """Abort a run; of one that is finished nothing changes. May be called by any thread."""
        try:
            self.api.patch(names.TASK_RUNS, NAMESPACE, name, {"spec": {"abort": {"message": message}}})
        except (InvalidError, NotFoundError):  # finished, aborted before, or deleted
            return

    def abort_all(self, message: str) -> None:
        """Abort every run that is not finished. May be called by any thread."""
        for run in self.api.find(names.TASK_RUNS, NAMESPACE)[0]:
            self.abort(run["metadata"]["name"], message)

    def call_after(self, seconds: float, action: Callable[[], None]) -> None:
        """Call `action` in the main loop when so much time has passed."""
        self._appointments.append((self.clock.now() + timedelta(seconds=seconds), action))

    def kill_all(self) -> None:
        """Kill every container at once. May be called by any thread."""
        if self._kubelet is not None:
            self._kubelet.kill_all()

    def wake(self) -> None:
        """Let the main loop look around. May be called by any thread, and by signal handlers."""
        self._bell.put(None)

    # --- the main loop ----------------------------------------------------------------------------------------------

    def run_to_the_end(self) -> None:
        """Return when all runs are finished and nothing is left to do for them.

        Raises:
            StuckError: a run is not finished, and nothing will happen any more.
        """
        assert self._kubelet is not None  # noqa: S101 - a programmer's mistake
        while True:
            self.settle()
            if self._kubelet.start_next():
                continue
            if not self._kubelet.is_busy and self._is_over():
                return
            self._wait(self._kubelet)

    def settle(self) -> None:
        """Let operator and kubelet do all that there is to do now; start no container."""
        if self._is_settling:
            return  # a container that is told of its end asks the API server meanwhile
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
        while is_moving or self._dirty:
            while self._dirty:
                key = next(iter(self._dirty))
                del self._dirty[key]
                self._reconcile(key)
            is_moving = self.api.collect_garbage()
            if self._kubelet is not None and self._kubelet.look():
                is_moving = True
            self._drain()

    def _reconcile(self, key: Key) -> None:
        self._due.pop(key, None)
        try:
            memory_client.run(self._reconciler.reconcile(key))
        except NotSettledError as error:
            raise StuckError(f"{key.name} does not settle; this is a bug in Podrelay") from error

    def _requeue(self, key: Key, seconds: float) -> None:
        self._due[key] = self.clock.now() + timedelta(seconds=seconds)

    def _is_over(self) -> bool:
        return not self._unfinished()

    def _unfinished(self) -> dict[Key, TaskRun]:
        runs = ((key, self._store.run(key)) for key in self._store.runs.all_keys())
        return {key: run for key, run in runs if run is not None and self._is_open(run)}

    def _is_open(self, run: TaskRun) -> bool:
        return run.status.phase not in FINISHED or object_rules.hooks_follow(run.status)

    def _wait(self, kubelet: Kubelet) -> None:
        unfinished = self._unfinished()
        due = [at for key, at in self._due.items() if key in unfinished]
        due += [at for at, _ in self._appointments]
        at = kubelet.next_due()
        until = min([*due, *([at] if at is not None else [])], default=None)
        if until is None:
            key, run = next(iter(unfinished.items()))
            raise StuckError(f"{key.name} will never go on: {run.status.reason}: {run.status.message}")
        left = max(0.0, (until - self.clock.now()).total_seconds())
        if self._skips_waits and not kubelet.is_busy:
            self.clock.advance(left)
            return
        try:
            self._bell.get(timeout=min(left, _LONGEST_WAIT))
            while True:
                self._bell.get_nowait()
        except queue.Empty:
            return

    # --- changes ----------------------------------------------------------------------------------------------------

    def _take(self, event: Event) -> None:
        self._inbox.put(event)
        self._bell.put(None)

    def _mark(self, key: Key) -> None:
        self._dirty[key] = None

    def _drain(self) -> None:
        while not self._inbox.empty():
            self._see(self._inbox.get())

    def _see(self, event: Event) -> None:
        kinds: dict[str, tuple[type[Any], Any]] = {
            PODS: (Pod, self._store.pods),
            names.TASK_DEFINITIONS: (TaskDefinition, self._store.definitions),
            names.TASK_RUNS: (TaskRun, self._store.runs),
            names.TASK_ITERATIONS: (Record, self._store.records),
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
        elif event.plural == PODS and self._kubelet is not None:
            self._kubelet.see(event.object, is_deletion=event.is_deletion)
        self._changed(event)
