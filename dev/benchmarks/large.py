"""Operator and gateway at their start with objects of the maximum size: records, and inputs of runs."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from dev.benchmarks import processes
from dev.benchmarks.arena import arena
from dev.benchmarks.contenders import BENCH, definition, task_run
from dev.benchmarks.operators import operator
from dev.benchmarks.processes import Memory
from dev.benchmarks.targets import Target
from dev.cluster import Cluster
from dev.harness.gateway import GatewayProcess
from dev.harness.manifests import record
from podrelay.kube import config
from podrelay.kube.client import Client
from podrelay.kube.resources import TASK_DEFINITIONS, TASK_ITERATIONS, TASK_RUNS

MEMORY_MIB: Final = 256
"""Half of what the chart allows."""
INPUT_BYTES: Final = 250_000
RECORD_BYTES: Final = 490 * 1024


@dataclass(frozen=True, slots=True)
class Large:
    """The results.

    Attributes:
        records: the number of records of 490 KiB.
        runs: the number of runs with an input of 250 KB.
        first: memory of an operator that has to write the status of all runs.
        second: memory of the next operator, which only has to fill its caches.
        gateway: memory of a gateway.
        api_server: memory of the API server since its start.
        ready_seconds: time until the second operator had filled its caches.
    """

    records: int
    runs: int
    first: Memory
    second: Memory
    gateway: Memory
    api_server: Memory
    ready_seconds: float

    def as_dict(self) -> dict[str, Any]:
        """Return the figures for a JSON file."""
        return asdict(self)

    @property
    def targets(self) -> Iterator[Target]:
        """Yield the targets."""
        yield Target("operator at its peak", max(self.first.peak, self.second.peak), MEMORY_MIB, "MiB")
        yield Target("gateway at its peak", self.gateway.peak, MEMORY_MIB, "MiB")


def text(found: Large) -> str:
    """Return the figures as human-readable text."""
    memories = {
        "operator that writes the states": found.first,
        "operator that has nothing to do": found.second,
        "gateway": found.gateway,
        "API server": found.api_server,
    }
    return "\n".join(
        (
            f"{found.records} records of 490 KiB, {found.runs} suspended runs with an input of 250 KB",
            *(
                f"{who:32} {memory.now:6.0f} MiB, at its peak {memory.peak:6.0f} MiB"
                for who, memory in memories.items()
            ),
            f"the second operator has its caches filled after {found.ready_seconds:.1f} s",
            *map(str, found.targets),
        )
    )


async def measure(cluster: Cluster, folder: Path, records: int, runs: int) -> Large:
    """Create the objects, then start operators and a gateway.

    Raises:
        BenchmarkError: the measurement failed.
    """
    async with Client(config.load(cluster.kubeconfig), BENCH) as client, arena(client, "large") as place:
        await place.create(TASK_DEFINITIONS, definition(1))
        for number in range(runs):
            large = {"n": number, "text": "x" * INPUT_BYTES}
            await place.create(TASK_RUNS, task_run(f"run-{number}", suspend=True, input=large))
        half = "x" * (RECORD_BYTES // 2)
        response = {"status": "continue", "input": {"text": half}, "output": {"text": half}}
        for number in range(records):
            manifest = record(f"gone-{number}-i1", response=response)
            await place.create(TASK_ITERATIONS, manifest)
        async with operator(cluster.kubeconfig, folder / "operator-first.log") as process:
            await place.all_have_a_state()
            first = processes.memory(process.pid)
        async with operator(cluster.kubeconfig, folder / "operator.log") as process:
            second, ready_seconds = processes.memory(process.pid), process.ready_seconds
        flags = ("--auth=none", f"--namespace={place.namespace}")
        with GatewayProcess(cluster.kubeconfig, folder / "gateway", flags) as serving:
            gateway = processes.memory(serving.process.pid)
        return Large(
            records=records,
            runs=runs,
            first=first,
            second=second,
            gateway=gateway,
            api_server=processes.memory(processes.control_plane()["kube-apiserver"]),
            ready_seconds=ready_seconds,
        )
