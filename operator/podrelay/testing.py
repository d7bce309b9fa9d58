"""For tests of your tasks: `run_task` runs a task through all of its iterations in this process, without waiting.

    result = run_task(ImportProducts, {"url": "https://example.org/products"})
    assert result.phase == "Succeeded"

It needs no cluster, fixtures or plug-ins. See docs/testing.md.
"""

import asyncio
import contextvars
import tempfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

from podrelay.api import limits, names
from podrelay.cli.manifests import manifest
from podrelay.kube.errors import ApiError
from podrelay.local.calls import CallContainer, CallRuntime, CallSession, ContainerKilledError
from podrelay.local.clock import Clock
from podrelay.local.errors import NotRunnableHereError, SecretError, StuckError
from podrelay.local.outcome import IterationResult, LogLine, TaskFailure, TaskResult, result_of
from podrelay.local.signals import SentSignal, check_by_models, send
from podrelay.local.world import World
from podrelay.sdk.controller import as_dict
from podrelay.sdk.definition import TaskDefinition
from podrelay.sdk.errors import DefinitionError

__all__ = [
    "Clock",
    "ContainerKilledError",
    "IterationResult",
    "LogLine",
    "Moment",
    "NotRunnableHereError",
    "SecretError",
    "SentSignal",
    "StuckError",
    "TaskFailure",
    "TaskResult",
    "run_task",
]

_IMAGE: Final = "localhost/none"


class Moment(NamedTuple):
    """The current position of a task.

    Attributes:
        iteration: number of the iteration, from 1.
        attempt: number of the attempt within this iteration, from 1.
        questions: how many times this attempt has asked whether it is aborted or how much time is left.
        progress: the last percentage that this attempt reported; None if there is none, or if the total is unknown.
        message: the message of that report.
    """

    iteration: int
    attempt: int
    questions: int
    progress: float | None
    message: str


def run_task(
    task: type[TaskDefinition],
    input: Any = None,
    *,
    definitions: Sequence[type[TaskDefinition]] = (),
    abort_at_iteration: int | None = None,
    abort_when: Callable[[Moment], bool] | None = None,
    abort_after: float | None = None,
    abort_message: str = "aborted by the test",
    clock: Clock | None = None,
    tick: float = 0.0,
    name: str | None = None,
    spec: Mapping[str, Any] | None = None,
    secret: Mapping[str, str] | None = None,
    signals: Sequence[SentSignal] = (),
    created_by: str | None = None,
) -> TaskResult:
    """Run a task through all of its iterations in this process, and return the result.

    Idle time (pauses between iterations, delays before retries) is skipped. The output of the task is printed. The task
    runs in the calling thread; if that thread has a running event loop, it runs in a new thread.

    Args:
        task: the task class.
        input: a dict or a pydantic model.
        definitions: further task classes, of which the task starts runs as children. They are run as well.
        abort_at_iteration: abort the run right before run() is called for this iteration.
        abort_when: abort the run as soon as this returns True. It is called before each call of run(), and whenever the
            task reports progress or asks whether it is aborted or how much time is left.
        abort_after: abort the run this many seconds after its creation, also while it waits.
        abort_message: the message of the abort.
        clock: the time that the task sees; for example, a fake of a slow operation can advance it.
        tick: how many seconds pass each time the task asks how much time is left.
        name: name of the TaskRun; default: the name of its definition.
        spec: further fields of the TaskRun, named as in `kubectl explain trun.spec`: `{"delaySeconds": 3600}`.
        secret: the values of `controller.secret`, by key; None: the run names no Secret.
        signals: signals that are sent to the run, each at its time.
        created_by: name of the user who creates the run, for approvals with `excludeCreator`.

    Raises:
        DefinitionError: a class is not valid as a TaskDefinition, for example because max_iterations is 0.
        NotRunnableHereError: a class reports by termination message.
        PayloadError: the input cannot be stored, because it is not JSON or too large.
        SecretError: a key of `secret` is not valid in a Secret.
        StuckError: the run will never finish.
    """
    payload = {} if input is None else as_dict(input, "input")
    limits.check_payload(payload, "input")
    run_name = name or names.definition_name(task.id)[: limits.RUN_NAME_LENGTH].rstrip("-")
    conditions: list[Callable[[Moment], bool]] = [] if abort_when is None else [abort_when]
    if abort_at_iteration is not None:
        conditions.append(lambda moment: moment.iteration == abort_at_iteration)

    def call() -> TaskResult:
        with tempfile.TemporaryDirectory(prefix="podrelay-") as folder:
            world = World(Path(folder), clock or Clock(), skips_waits=True)
            classes = _define(world, [task, *definitions])
            test = _Test(world, run_name, conditions, abort_message, tick)
            world.use(CallRuntime(world.api, classes, world.clock, world.settle, partial(_TestedSession, test)))
            if abort_after is not None:
                world.call_after(abort_after, test.abort)
            secrets = {} if secret is None else {"secret": world.add_secret(secret)}
            own = secrets | {"definition": names.definition_name(task.id), "input": payload}
            signed = {} if created_by is None else {"annotations": {names.ANNOTATION_CREATED_BY: created_by}}
            world.create_run({"metadata": {"name": run_name, **signed}, "spec": {**(spec or {}), **own}})
            send(world, run_name, signals)
            world.run_to_the_end()
            return result_of(run_name, world.runs, world.records, world.deleted_runs)

    return _outside_of_event_loops(call)


def _define(world: World, classes: Sequence[type[TaskDefinition]]) -> dict[str, type[TaskDefinition]]:
    found = {names.definition_name(item.id): item for item in classes}
    for item in found.values():
        check_by_models(world, item)
        try:
            world.define(manifest(item, item.__module__, _IMAGE))
        except ApiError as error:
            raise DefinitionError(f"{item.__name__}: {error.message}") from error
    return found


def _outside_of_event_loops(call: Callable[[], TaskResult]) -> TaskResult:
    """Call in this thread if it has no running event loop, otherwise in another thread."""
    if not _is_in_event_loop():
        return call()
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(contextvars.copy_context().run, call).result()


def _is_in_event_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


class _Test:
    """The conditions under which a test aborts its run."""

    def __init__(
        self, world: World, run: str, conditions: list[Callable[[Moment], bool]], message: str, tick: float
    ) -> None:
        self._world = world
        self._run = run
        self._conditions = conditions
        self._message = message
        self._tick = tick

    def abort(self) -> None:
        self._world.abort(self._run, self._message)

    def look(self, run: str, moment: Moment) -> None:
        """Abort the run if a condition is met; its children are not aborted."""
        if run == self._run and any(condition(moment) for condition in self._conditions):
            self._conditions.clear()
            self.abort()

    def let_time_pass(self) -> None:
        if self._tick:
            self._world.clock.advance(self._tick)


class _TestedSession(CallSession):
    """A session that checks the conditions of the test."""

    def __init__(self, test: _Test, container: CallContainer, *of_a_pod: Any) -> None:
        self._test = test
        self._questions = 0
        self._reported: tuple[float | None, str] = (None, "")
        super().__init__(container, *of_a_pod)

    def report(self, percent: float | None, message: str) -> None:
        self._reported = (percent, message)
        super().report(percent, message)

    def remaining_seconds(self) -> float:
        self._test.let_time_pass()
        self._questions += 1
        return super().remaining_seconds()

    def is_aborted(self) -> bool:
        self._questions += 1
        return super().is_aborted()

    def look(self) -> None:
        moment = Moment(self.iteration, self.attempt, self._questions, *self._reported)
        self._test.look(self.task.id, moment)
        super().look()
