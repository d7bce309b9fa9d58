"""The idle operator: start-up time and memory with many finished or delayed runs."""

import asyncio
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from dev.benchmarks import processes
from dev.benchmarks.arena import Arena, arena
from dev.benchmarks.contenders import BENCH, definition, task_run
from dev.benchmarks.operators import operator
from dev.benchmarks.processes import Memory
from dev.benchmarks.targets import Target
from dev.cluster import Cluster
from podrelay.api import names
from podrelay.kube import config
from podrelay.kube.client import Client
from podrelay.kube.resources import TASK_DEFINITIONS, TASK_RUNS

MEMORY_MIB: Final = 256
_TARGET_RUNS: Final = 10_000
_DELAY_SECONDS: Final = 30 * 24 * 3600
_LOOK_SECONDS: Final = 20.0


@dataclass(frozen=True, slots=True)
class Idle:
    """The results.

    Attributes:
        runs: the number of runs.
        created_per_second: the rate of their creation, including their status.
        first_seconds: time until a first operator had written the status of all delayed runs.
        ready_seconds: time until a second operator was the leader and had filled its caches.
        memory: the memory of the second operator after 20 s.
        cpu_percent: the CPU usage of the second operator in the second half of these 20 s.
        start_cpu_seconds: the CPU time of the second operator in the first half.
        empty_memory: the memory of an operator without any run.
    """

    runs: int
    created_per_second: float
    first_seconds: float
    ready_seconds: float
    memory: Memory
    cpu_percent: float
    start_cpu_seconds: float
    empty_memory: Memory

    def as_dict(self) -> dict[str, Any]:
        """Return the figures for a JSON file."""
        return asdict(self)

    @property
    def target(self) -> Target:
        """Return the target."""
        peak = self.memory.peak if self.runs >= _TARGET_RUNS else None
        return Target(f"memory with {_TARGET_RUNS} runs, at its peak", peak, MEMORY_MIB, "MiB")


def text(found: Idle) -> str:
    """Return the figures as human-readable text."""
    kib = (found.memory.now - found.empty_memory.now) * 1024 / found.runs
    return "\n".join(
        (
            f"{found.runs} runs, half finished, half delayed; created at {found.created_per_second:.0f} a second",
            f"first operator, until it has written {found.runs // 2} states   {found.first_seconds:7.1f} s",
            f"second operator, until it leads and has its caches filled {found.ready_seconds:7.1f} s",
            f"  CPU time until 10 s later                               {found.start_cpu_seconds:7.1f} s",
            f"  CPU while idle                                          {found.cpu_percent:7.1f} %",
            f"  memory after 20 s, and at its peak                      {found.memory.now:7.0f} MiB"
            f"{found.memory.peak:6.0f} MiB",
            f"  the same without any run                                {found.empty_memory.now:7.0f} MiB"
            f"{found.empty_memory.peak:6.0f} MiB",
            f"  memory for each run                                     {kib:7.1f} KiB",
            str(found.target),
        )
    )


async def measure(cluster: Cluster, folder: Path, runs: int) -> Idle:
    """Create the runs and measure an operator that has nothing to do.

    Raises:
        BenchmarkError: the measurement failed.
    """
    async with Client(config.load(cluster.kubeconfig), BENCH) as client, arena(client, "idle") as place:
        async with operator(cluster.kubeconfig, folder / "operator-empty.log") as empty:
            await asyncio.sleep(_LOOK_SECONDS / 2)
            empty_memory = processes.memory(empty.pid)
        await place.create(TASK_DEFINITIONS, definition(1, historyLimit={"runs": runs}))
        started = time.perf_counter()
        await make_runs(place, runs)
        created_per_second = runs / (time.perf_counter() - started)
        started = time.perf_counter()
        async with operator(cluster.kubeconfig, folder / "operator-first.log"):
            await place.all_have_a_state()
            first_seconds = time.perf_counter() - started
        async with operator(cluster.kubeconfig, folder / "operator.log") as second:
            await asyncio.sleep(_LOOK_SECONDS / 2)
            start_cpu = processes.cpu_seconds(second.pid)
            await asyncio.sleep(_LOOK_SECONDS / 2)
            idle_cpu = processes.cpu_seconds(second.pid) - start_cpu
            memory = processes.memory(second.pid)
        return Idle(
            runs=runs,
            created_per_second=created_per_second,
            first_seconds=first_seconds,
            ready_seconds=second.ready_seconds,
            memory=memory,
            cpu_percent=idle_cpu * 100 / (_LOOK_SECONDS / 2),
            start_cpu_seconds=start_cpu,
            empty_memory=empty_memory,
        )


async def make_runs(place: Arena, runs: int) -> None:
    """Create runs, half of them finished after three iterations, half delayed for a month."""
    async with asyncio.TaskGroup() as group:
        for number in range(runs):
            group.create_task(_finished(place, number) if number % 2 else _delayed(place, number))


async def _delayed(place: Arena, number: int) -> None:
    await place.create(TASK_RUNS, task_run(f"run-{number}", delaySeconds=_DELAY_SECONDS))


async def _finished(place: Arena, number: int) -> None:
    name = f"run-{number}"
    finished = task_run(name)
    # Otherwise the operator would write this annotation a minute after the end, so in the middle of the measurement.
    finished["metadata"]["annotations"] = {names.ANNOTATION_ENDED: "Succeeded"}
    await place.create(TASK_RUNS, finished)
    await place.patch(TASK_RUNS, name, {"status": _status(name)}, subresource="status")


def _status(name: str) -> dict[str, Any]:
    """Return the status of a run that finished after three iterations."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    iterations = [
        {
            "iteration": number,
            "try": 1,
            "podName": f"{name}-i{number}",
            "answer": "continue" if number < 3 else "done",
            "startedAt": now,
            "finishedAt": now,
        }
        for number in (1, 2, 3)
    ]
    conditions = [
        {"type": kind, "status": status, "reason": "Done", "message": "Task done.", "lastTransitionTime": now}
        for kind, status in (("Succeeded", "True"), ("Reconciling", "False"), ("Stalled", "False"))
    ]
    return {
        "phase": "Succeeded",
        "reason": "Done",
        "message": "Task done.",
        "iterations": 3,
        "maxIterations": 50,
        "startedAt": now,
        "finishedAt": now,
        "lastRecord": f"{name}-i2",
        "observedGeneration": 1,
        "recentIterations": iterations,
        "conditions": conditions,
        "current": {
            "iteration": 3,
            "try": 1,
            "podName": f"{name}-i3",
            "podUID": "00000000-0000-0000-0000-000000000000",
        },
    }
