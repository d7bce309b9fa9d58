"""One round: one contender under one load, measured."""

import asyncio
import time
from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any, Final

from dev.benchmarks import audit, processes
from dev.benchmarks.arena import Arena
from dev.benchmarks.audit import AuditLog
from dev.benchmarks.contenders import Contender
from dev.benchmarks.errors import BenchmarkError
from dev.benchmarks.figures import percentile
from dev.benchmarks.loads import Load

_PATIENCE_SECONDS: Final = 300.0
_SETTLING_SECONDS: Final = 0.5
"""Events and writes of the last runs may arrive a little after their ends are seen."""


@dataclass(frozen=True, slots=True)
class Round:
    """The results.

    Attributes:
        contender: the name of the contender.
        load: the name of the load.
        number: the number of the round.
        runs_per_second: the rate from the first request to the last end that was seen.
        handover_p50: median of the seconds from the end of a pod to the creation of the next.
        handover_p99: their 99th percentile.
        run_p50: median of the seconds from the request for a run to its end.
        run_p99: their 99th percentile.
        own_writes: writes per run by the contender.
        all_writes: writes per run by all programs, including the scheduler, kwok and event recorders.
        cpu_ms: CPU time per run of each process, in ms.
        writes: all writes of the round by program, verb and resource.
    """

    contender: str
    load: str
    number: int
    runs_per_second: float
    handover_p50: float | None
    handover_p99: float | None
    run_p50: float
    run_p99: float
    own_writes: float
    all_writes: float
    cpu_ms: dict[str, float]
    writes: dict[str, int]

    def as_dict(self) -> dict[str, Any]:
        """Return the round for a JSON file."""
        return asdict(self)


async def measure(
    contender: Contender, arena: Arena, load: Load, number: int, log: AuditLog, pids: dict[str, int]
) -> Round:
    """Run one round and clear the arena.

    Raises:
        BenchmarkError: a run did not succeed, or the round took too long.
    """
    await contender.prepare(arena, load)
    log.writes(arena.namespace)
    cpu_before = _cpu(pids)
    durations: list[float] = []
    started = time.perf_counter()

    async def one(index: int) -> None:
        if load.per_second:
            await asyncio.sleep(index / load.per_second)
        began = time.perf_counter()
        await contender.run(arena, load, f"{load.name}-{number}-{index}")
        durations.append(time.perf_counter() - began)

    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            await asyncio.gather(*(one(index) for index in range(load.runs)))
    except TimeoutError:
        raise BenchmarkError(
            f"{contender.name}, {load.title}: {len(durations)} runs had ended after {_PATIENCE_SECONDS:g} s"
        ) from None
    seconds = time.perf_counter() - started
    await asyncio.sleep(_SETTLING_SECONDS)
    cpu_after = _cpu(pids)
    writes: Counter[str] = log.writes(arena.namespace)
    handovers = arena.observer.handovers()
    await arena.clear()
    return Round(
        contender=contender.name,
        load=load.name,
        number=number,
        runs_per_second=load.runs / seconds,
        handover_p50=percentile(handovers, 50),
        handover_p99=percentile(handovers, 99),
        run_p50=percentile(durations, 50) or 0.0,
        run_p99=percentile(durations, 99) or 0.0,
        own_writes=audit.of(writes, contender.programs) / load.runs,
        all_writes=writes.total() / load.runs,
        cpu_ms={name: (cpu_after[name] - cpu_before[name]) * 1000 / load.runs for name in pids},
        writes=dict(writes.most_common()),
    )


def _cpu(pids: dict[str, int]) -> dict[str, float]:
    try:
        return {name: processes.cpu_seconds(pid) for name, pid in pids.items()}
    except FileNotFoundError as error:
        raise BenchmarkError(f"a process has ended by itself: {error.filename} of {pids}") from None
