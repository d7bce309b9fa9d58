"""The contenders that run a load: bare pods, least writes, the same with Podrelay's pods, Jobs, Podrelay.

All of them keep their pods. Each one runs a run from its start to its end; the load decides when each run starts.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, Protocol

import msgspec

from dev.benchmarks.arena import JOBS, Arena
from dev.benchmarks.errors import BenchmarkError
from dev.benchmarks.loads import Load
from dev.benchmarks.observer import LABEL_ITERATION, LABEL_RUN
from dev.benchmarks.polling import until
from podrelay.api import names
from podrelay.kube.reflector import Reflector
from podrelay.kube.resources import PODS, TASK_DEFINITIONS, TASK_RUNS, Resource
from podrelay.operator.executor import pod_builder
from podrelay.operator.objects.definitions import TaskDefinition
from podrelay.operator.objects.runs import TaskRun
from podrelay.operator.plan import Target

LABEL_ITERATIONS: Final = "bench.podrelay.dev/iterations"
DEFINITION: Final = "bench"
BENCH: Final = "podrelay-bench"


class Contender(Protocol):
    """One way to run a load.

    Attributes:
        name: its name in the results.
        programs: the programs whose writes it causes, by their user agents.
        controller: the process that does its work, if any.
    """

    name: str
    programs: frozenset[str]
    controller: str | None

    async def prepare(self, arena: Arena, load: Load) -> None:
        """Create the objects that the runs of a load share."""

    async def run(self, arena: Arena, load: Load, name: str) -> None:
        """Run one run to its end.

        Raises:
            BenchmarkError: the run did not succeed.
        """


def _pod_spec() -> dict[str, Any]:
    return {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "containers": [{"name": names.TASK_CONTAINER, "image": "registry.example/bench:1"}],
    }


def _labels(run: str, iteration: int) -> dict[str, str]:
    return {LABEL_RUN: run, LABEL_ITERATION: str(iteration)}


class Floor:
    """Bare pods, each created as soon as the end of the previous one is seen: the minimum that is possible."""

    name = "bare pods"
    programs = frozenset({BENCH})
    controller: str | None = None

    async def prepare(self, arena: Arena, load: Load) -> None:
        """Nothing is shared."""

    async def run(self, arena: Arena, load: Load, name: str) -> None:
        """Create the pods of a run, one after the other."""
        for iteration in range(1, load.iterations + 1):
            metadata = {"name": f"{name}-i{iteration}", "labels": _labels(name, iteration)}
            pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": _pod_spec()}
            await arena.create(PODS, pod)
            await arena.observer.ended(name, iteration)


class LeastWrites:
    """A TaskRun, its pods, and a status for each pod: the writes without which no operator can run a TaskRun.

    The benchmark's client makes them, without any operator. Each pod has Podrelay's finalizer, which is not removed.
    """

    name = "least writes"
    programs = frozenset({BENCH})
    controller: str | None = None

    async def prepare(self, arena: Arena, load: Load) -> None:
        """Nothing is shared."""

    async def run(self, arena: Arena, load: Load, name: str) -> None:
        """Create the TaskRun and its pods, one after the other, and write the status after each."""
        created = await arena.create(TASK_RUNS, task_run(name))
        run, version = msgspec.json.decode(created, type=TaskRun), _version(created)
        for iteration in range(1, load.iterations + 1):
            await arena.create(PODS, self._pod(run, iteration))
            await arena.observer.ended(name, iteration)
            written = {
                "apiVersion": names.API_VERSION,
                "kind": "TaskRun",
                "metadata": {"name": name, "resourceVersion": version},
                "status": _status(name, iteration, load.iterations),
            }
            version = _version(await arena.replace(TASK_RUNS, name, written, subresource="status"))

    def _pod(self, run: TaskRun, iteration: int) -> dict[str, Any]:
        name = run.metadata.name
        labels = _labels(name, iteration) | {names.LABEL_RUN: name}
        metadata = {"name": f"{name}-i{iteration}", "labels": labels, "finalizers": [names.ANSWER_FINALIZER]}
        return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": _pod_spec()}


class SamePods(LeastWrites):
    """The same writes, with the larger pods that the operator creates."""

    name = "same pods"

    def __init__(self) -> None:
        self._definition: TaskDefinition | None = None

    async def prepare(self, arena: Arena, load: Load) -> None:
        """Create the definition."""
        created = await arena.create(TASK_DEFINITIONS, definition(load.iterations))
        self._definition = msgspec.json.decode(created, type=TaskDefinition)

    def _pod(self, run: TaskRun, iteration: int) -> dict[str, Any]:
        assert self._definition is not None  # noqa: S101 - `prepare` was called
        name = run.metadata.name
        target = Target(iteration, 1, f"{name}-i{iteration}", None, None, is_final_attempt=False)
        pod = pod_builder.build(run, self._definition, target, {"n": iteration})
        pod_builder.let_start_unclaimed(pod)
        return pod


def _status(run: str, iteration: int, iterations: int) -> dict[str, Any]:
    """Return a status with the fields that an operator has to store."""
    is_over = iteration == iterations
    return {
        "phase": "Succeeded" if is_over else "Running",
        "reason": "Done" if is_over else "IterationRunning",
        "message": "Task done." if is_over else f"iteration {iteration + 1}",
        "iterations": iteration,
        "lastRecord": f"{run}-i{iteration}",
        "output": {"n": iteration},
    }


class Jobs:
    """A Job for each iteration, created as soon as the previous one is complete."""

    name = "Jobs"
    programs = frozenset({BENCH, "kube-controller-manager"})
    controller: str | None = "kube-controller-manager"

    def __init__(self) -> None:
        self._ends: _Ends | None = None

    @asynccontextmanager
    async def watching(self, arena: Arena) -> AsyncIterator[None]:
        """Watch Jobs."""
        async with _ends_of(arena, JOBS) as self._ends:
            yield

    async def prepare(self, arena: Arena, load: Load) -> None:
        """Nothing is shared."""

    async def run(self, arena: Arena, load: Load, name: str) -> None:
        """Create the Jobs of a run, one after the other."""
        assert self._ends is not None  # noqa: S101 - inside of watching()
        for iteration in range(1, load.iterations + 1):
            job = f"{name}-i{iteration}"
            template = {"metadata": {"labels": _labels(name, iteration)}, "spec": _pod_spec()}
            spec = {"completions": 1, "backoffLimit": 0, "template": template}
            await arena.create(JOBS, {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": job}, "spec": spec})
            outcome = await self._ends.of(job)
            if outcome != "Complete":
                raise BenchmarkError(f"Job {job} ended as {outcome}")


class Relay:
    """Podrelay, with pods that report by termination message, and get all variables.

    Args:
        settings: further fields of the definition.
    """

    name = "Podrelay"
    programs = frozenset({BENCH, "podrelay-operator", "kopf"})
    controller: str | None = "operator"

    def __init__(self, **settings: Any) -> None:
        self._settings = settings
        self._ends: _Ends | None = None

    @asynccontextmanager
    async def watching(self, arena: Arena) -> AsyncIterator[None]:
        """Watch TaskRuns."""
        async with _ends_of(arena, TASK_RUNS) as self._ends:
            yield

    async def prepare(self, arena: Arena, load: Load) -> None:
        """Create the definition, and wait until it is ready."""
        await arena.create(TASK_DEFINITIONS, definition(load.iterations, **self._settings))
        await until("the definition is ready", partial(_is_ready, arena), every=0.05)

    async def run(self, arena: Arena, load: Load, name: str) -> None:
        """Create the TaskRun, and wait for its end."""
        assert self._ends is not None  # noqa: S101 - inside of watching()
        await arena.create(TASK_RUNS, task_run(name))
        outcome = await self._ends.of(name)
        if outcome != "Succeeded":
            raise BenchmarkError(f"TaskRun {arena.namespace}/{name} ended as {outcome}")


class QuietRelay(Relay):
    """Podrelay, without logs."""

    name = "Podrelay, no logs"

    def __init__(self) -> None:
        super().__init__(recordLogs=False)


class LeanRelay(Relay):
    """Podrelay, with pods that get their input only, and without logs."""

    name = "Podrelay, lean"

    def __init__(self) -> None:
        super().__init__(variables=[names.ENV_INPUT], recordLogs=False)


def definition(iterations: int, **others: Any) -> dict[str, Any]:
    """Return a definition whose pods are not deleted, like those of the other contenders."""
    spec = {
        "id": DEFINITION,
        "title": "Benchmark",
        "reporting": "TerminationMessage",
        "podCleanup": "Never",
        "template": {"metadata": {"labels": {LABEL_ITERATIONS: str(iterations)}}, "spec": _pod_spec()},
    } | others
    return {
        "apiVersion": names.API_VERSION,
        "kind": "TaskDefinition",
        "metadata": {"name": DEFINITION},
        "spec": spec,
    }


def task_run(name: str, **spec: Any) -> dict[str, Any]:
    """Return a run of that definition."""
    return {
        "apiVersion": names.API_VERSION,
        "kind": "TaskRun",
        "metadata": {"name": name},
        "spec": {"definition": DEFINITION, "input": {"n": 0}, **spec},
    }


def _version(body: bytes) -> str:
    return msgspec.json.decode(body, type=_Versioned).metadata.resource_version


# --- how runs and Jobs end -------------------------------------------------------------------------------------------


class _Condition(msgspec.Struct):
    type: str
    status: str


class _Metadata(msgspec.Struct, rename="camel"):
    name: str
    resource_version: str


class _Versioned(msgspec.Struct):
    metadata: _Metadata


class _Status(msgspec.Struct):
    phase: str = ""
    message: str = ""
    conditions: list[_Condition] = []


class _Ended(msgspec.Struct):
    metadata: _Metadata
    status: _Status = msgspec.field(default_factory=_Status)

    @property
    def outcome(self) -> str | None:
        """Return the result, or None before the end."""
        if self.status.phase == "Succeeded":
            return self.status.phase
        if self.status.phase in {"Failed", "Aborted"}:
            return f"{self.status.phase}: {self.status.message}"
        ends = (c.type for c in self.status.conditions if c.status == "True" and c.type in {"Complete", "Failed"})
        return next(ends, None)


@dataclass
class _Ends:
    """The results of the objects in a namespace; a `podrelay.kube.reflector.Sink`."""

    _futures: dict[str, asyncio.Future[str]] = field(default_factory=dict)

    async def of(self, name: str) -> str:
        """Wait until an object has ended, and return its result, once for each object."""
        future = self._future(name)
        try:
            return await future
        finally:
            del self._futures[name]

    def apply(self, obj: _Ended) -> None:
        """Store the result of one object."""
        outcome = obj.outcome
        if outcome is not None and not (future := self._future(obj.metadata.name)).done():
            future.set_result(outcome)

    def replace(self, objects: list[_Ended], resource_version: str, namespace: str | None = None) -> None:
        """Store the results of a list."""
        del resource_version, namespace
        for obj in objects:
            self.apply(obj)

    def remove(self, obj: _Ended) -> None:
        """Forget the result of a deleted object."""
        self._futures.pop(obj.metadata.name, None)

    def _future(self, name: str) -> asyncio.Future[str]:
        return self._futures.setdefault(name, asyncio.get_running_loop().create_future())


@asynccontextmanager
async def _ends_of(arena: Arena, resource: Resource) -> AsyncIterator[_Ends]:
    ends = _Ends()
    reflector: Reflector[_Ended] = Reflector(arena.client, resource, _Ended, ends, namespace=arena.namespace)
    watching = asyncio.create_task(reflector.run())
    try:
        await reflector.synced.wait()
        yield ends
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)


async def _is_ready(arena: Arena) -> bool:
    body = await arena.client.get(TASK_DEFINITIONS, arena.namespace, DEFINITION)
    conditions = (msgspec.json.decode(body).get("status") or {}).get("conditions", ())
    for condition in conditions:
        if condition["type"] == "Ready" and condition["status"] == "False":
            raise BenchmarkError(f"the definition is not ready: {condition['message']}")
    return any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)
