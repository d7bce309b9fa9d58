"""The speed of runs with bare pods, least writes, Jobs and Podrelay, side by side on one control plane."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from dev.benchmarks import processes, rounds
from dev.benchmarks.arena import Arena, arena
from dev.benchmarks.audit import AuditLog
from dev.benchmarks.contenders import BENCH, Contender, Floor, Jobs, LeanRelay, LeastWrites, QuietRelay, Relay, SamePods
from dev.benchmarks.loads import Load
from dev.benchmarks.nodes import kwok
from dev.benchmarks.operators import operator
from dev.benchmarks.processes import Memory
from dev.benchmarks.rounds import Round
from dev.cluster import Cluster
from podrelay.kube import config
from podrelay.kube.client import Client


@dataclass(frozen=True, slots=True)
class Results:
    """All rounds, and the memory of the operator at the end."""

    rounds: list[Round]
    memory: Memory


async def measure(
    cluster: Cluster,
    folder: Path,
    loads: tuple[Load, ...],
    repeats: int,
    without: frozenset[str],
    report: Callable[[Round], None],
) -> Results:
    """Measure every load `repeats` times. The contenders alternate, so that disturbances affect all of them.

    Raises:
        BenchmarkError: the measurement failed.
    """
    assert cluster.audit_log is not None  # noqa: S101 - a control plane has one
    found: list[Round] = []
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(Client(config.load(cluster.kubeconfig), BENCH))
        player = await stack.enter_async_context(kwok(client, cluster.kubeconfig, folder))
        arenas = await stack.enter_async_context(_arenas(client))
        # Another operator would disturb the runs of "least writes".
        served = tuple(place.namespace for contender, place in arenas if isinstance(contender, Relay))
        ours = await stack.enter_async_context(operator(cluster.kubeconfig, folder / "operator.log", served))
        arenas = [pair for pair in arenas if pair[0].name not in without]
        pids = {**processes.control_plane(), "kwok": player, "operator": ours.pid}
        log = AuditLog(cluster.audit_log)
        for load in loads:
            for number in range(1, repeats + 1):
                for contender, place in _turn(arenas, number):
                    found.append(await rounds.measure(contender, place, load, number, log, pids))
                    report(found[-1])
        return Results(found, processes.memory(ours.pid))


@asynccontextmanager
async def _arenas(client: Client) -> AsyncIterator[list[tuple[Contender, Arena]]]:
    """Create the namespaces of all contenders at the start, so that the conditions are the same for each of them."""
    async with AsyncExitStack() as stack:
        floor, least, same, jobs, *places = [
            await stack.enter_async_context(arena(client, name))
            for name in ("pods", "least", "same", "jobs", "runs", "quiet", "lean")
        ]
        theirs = Jobs()
        await stack.enter_async_context(theirs.watching(jobs))
        ours = list(zip((Relay(), QuietRelay(), LeanRelay()), places, strict=True))
        for contender, place in ours:
            await stack.enter_async_context(contender.watching(place))
        yield [(Floor(), floor), (LeastWrites(), least), (SamePods(), same), (theirs, jobs), *ours]


def _turn(arenas: list[tuple[Contender, Arena]], number: int) -> list[tuple[Contender, Arena]]:
    """Return the contenders in the order of a round: each round starts with a different one."""
    first = number % len(arenas)
    return arenas[first:] + arenas[:first]
