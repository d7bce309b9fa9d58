"""Who runs a load: bare pods, Jobs, Podrelay. All make the same pods for the same nodes, and none removes them.

Each takes one run after the other from its beginning to its end; the load decides when each begins.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, Protocol

import msgspec

from benchmarks.arena import JOBS, Arena
from benchmarks.errors import BenchmarkError
from benchmarks.loads import Load
from benchmarks.observer import LABEL_ITERATION, LABEL_RUN
from benchmarks.polling import until
from podrelay.api import names
from podrelay.kube.reflector import Reflector
from podrelay.kube.resources import PODS, TASK_DEFINITIONS, TASK_RUNS, Resource

LABEL_ITERATIONS: Final = "bench.podrelay.dev/iterations"
DEFINITION: Final = "bench"
BENCH: Final = "podrelay-bench"


class Contender(Protocol):
    """One way to run a load.

    Attributes:
        name: what it is called in the results.
        programs: whose writes it needs, by the names that they give to the API server.
        controller: the process that does its work, as far as there is one.
    """

    name: str
    programs: frozenset[str]
    controller: str | None

    async def prepare(self, arena: Arena, load: Load) -> None:
        """Make what the runs of a load share."""

    async def run(self, arena: Arena, load: Load, name: str) -> None:
        """Take one run to its end.

        Raises:
            BenchmarkError: it did not succeed.
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
    """Bare pods, the next one made as soon as the end of the one before is seen: it cannot be done with less."""

    name = "bare pods"
    programs = frozenset({BENCH})
    controller: str | None = None

    async def prepare(self, arena: Arena, load: Load) -> None:
        """Nothing is shared."""

    async def run(self, arena: Arena, load: Load, name: str) -> None:
        """Make its pods, one after the other."""
        for iteration in range(1, load.iterations + 1):
            metadata = {"name": f"{name}-i{iteration}", "labels": _labels(name, iteration)}
            pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": _pod_spec()}
            await arena.create(PODS, pod)
            await arena.observer.ended(name, iteration)


class Jobs:
    """A Job for each iteration, the next one made as soon as the one before is complete."""

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
        """Make its Jobs, one after the other."""
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
    """Podrelay, its pods reporting by termination message."""

    name = "Podrelay"
    programs = frozenset({BENCH, "podrelay-operator", "kopf"})
    controller: str | None = "operator"

    def __init__(self) -> None:
        self._ends: _Ends | None = None

    @asynccontextmanager
    async def watching(self, arena: Arena) -> AsyncIterator[None]:
        """Watch TaskRuns."""
        async with _ends_of(arena, TASK_RUNS) as self._ends:
            yield

    async def prepare(self, arena: Arena, load: Load) -> None:
        """Make the definition, and wait until the operator has found it good."""
        await arena.create(TASK_DEFINITIONS, definition(load.iterations))
        await until("the definition is ready", partial(_is_ready, arena), every=0.05)

    async def run(self, arena: Arena, load: Load, name: str) -> None:
        """Make the TaskRun; the operator does the rest."""
        assert self._ends is not None  # noqa: S101 - inside of watching()
        await arena.create(TASK_RUNS, task_run(name))
        outcome = await self._ends.of(name)
        if outcome != "Succeeded":
            raise BenchmarkError(f"TaskRun {arena.namespace}/{name} ended as {outcome}")


def definition(iterations: int, **others: Any) -> dict[str, Any]:
    """A definition whose pods stay, as those of the other contenders do."""
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
    """A run of that definition."""
    return {
        "apiVersion": names.API_VERSION,
        "kind": "TaskRun",
        "metadata": {"name": name},
        "spec": {"definition": DEFINITION, "input": {"n": 0}, **spec},
    }


# --- how runs and Jobs end -------------------------------------------------------------------------------------------


class _Condition(msgspec.Struct):
    type: str
    status: str


class _Metadata(msgspec.Struct, rename="camel"):
    name: str
    resource_version: str


class _Status(msgspec.Struct):
    phase: str = ""
    message: str = ""
    conditions: list[_Condition] = []


class _Ended(msgspec.Struct):
    metadata: _Metadata
    status: _Status = msgspec.field(default_factory=_Status)

    @property
    def outcome(self) -> str | None:
        """How it ended, None while it has not."""
        if self.status.phase == "Succeeded":
            return self.status.phase
        if self.status.phase in {"Failed", "Aborted"}:
            return f"{self.status.phase}: {self.status.message}"
        ends = (c.type for c in self.status.conditions if c.status == "True" and c.type in {"Complete", "Failed"})
        return next(ends, None)


@dataclass
class _Ends:
    """How the objects of a namespace end; a `podrelay.kube.reflector.Sink`."""

    _futures: dict[str, asyncio.Future[str]] = field(default_factory=dict)

    async def of(self, name: str) -> str:
        """Wait until an object has ended, and return how; each can be asked for once."""
        future = self._future(name)
        try:
            return await future
        finally:
            del self._futures[name]

    def apply(self, obj: _Ended) -> None:
        """Take one object."""
        outcome = obj.outcome
        if outcome is not None and not (future := self._future(obj.metadata.name)).done():
            future.set_result(outcome)

    def replace(self, objects: list[_Ended], resource_version: str, namespace: str | None = None) -> None:
        """Take a list."""
        del resource_version, namespace
        for obj in objects:
            self.apply(obj)

    def remove(self, obj: _Ended) -> None:
        """Take a deletion: what is left over of a run that ended is forgotten."""
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
