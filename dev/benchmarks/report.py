"""The human-readable results."""

from collections.abc import Sequence
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from dev.benchmarks.contenders import Floor, Jobs, LeanRelay, LeastWrites, QuietRelay, Relay
from dev.benchmarks.figures import median
from dev.benchmarks.loads import Load
from dev.benchmarks.relay import Results
from dev.benchmarks.rounds import Round
from dev.benchmarks.targets import Target

SHARES: Final = {"burst": {Jobs.name: 1.25, LeastWrites.name: 0.8}, "chain": {Jobs.name: 1.6, LeastWrites.name: 0.8}}
"""By load: how fast Podrelay must be, relative to another contender."""
HANDOVER_MS: Final = 6
CPU_MS: Final = 3.5
WRITES: Final = 4


def relay(console: Console, results: Results, loads: Sequence[Load]) -> None:
    """Print the tables of `benchmarks relay`."""
    for load in loads:
        console.print(_table(results.rounds, load))
    console.print(f"memory of the operator: {results.memory.now:.0f} MiB, at its peak {results.memory.peak:.0f} MiB\n")
    for target in targets(results.rounds):
        console.print(str(target))


def ratio(found: Sequence[Round], load: str, contender: str, other: str = Floor.name) -> float | None:
    """Return the median of a contender's speed relative to another one in the same round."""
    base = {r.number: r.runs_per_second for r in found if r.load == load and r.contender == other}
    mine = [r for r in found if r.load == load and r.contender == contender]
    return median(r.runs_per_second / base[r.number] for r in mine if r.number in base)


def targets(found: Sequence[Round]) -> list[Target]:
    """Return the targets of the measured loads."""
    measured = {r.load for r in found}
    ours = [r for r in found if r.contender == Relay.name]

    def of(load: str) -> list[Round]:
        return [r for r in ours if r.load == load]

    aims = {
        load: [
            Target(f"{load}, relative to {other}", ratio(found, load, Relay.name, other), share, "", at_least=True)
            for other, share in shares.items()
        ]
        for load, shares in SHARES.items()
    }
    cpu = median(r.cpu_ms["operator"] for r in of("burst"))
    writes = median(r.own_writes for r in of("burst"))
    aims["burst"] += [
        Target("CPU of the operator for a run of one iteration", cpu, CPU_MS, "ms"),
        Target("own writes for a run of one iteration", writes, WRITES, ""),
    ]
    handover = median(r.handover_p50 for r in of("open"))
    milliseconds = handover * 1000 if handover is not None else None
    aims["open"] = [Target("hand-over while not busy, p50", milliseconds, HANDOVER_MS, "ms")]
    return [target for load, those in aims.items() if load in measured for target in those]


def as_dict(results: Results, loads: Sequence[Load]) -> dict[str, Any]:
    """Return all results for a JSON file."""
    return {
        "loads": {load.name: load.title for load in loads},
        "rounds": [r.as_dict() for r in results.rounds],
        "operatorMemoryMiB": {"now": results.memory.now, "peak": results.memory.peak},
        "targets": [
            {"what": t.what, "value": t.value, "limit": t.limit, "unit": t.unit, "met": t.is_met}
            for t in targets(results.rounds)
        ],
    }


def _table(found: Sequence[Round], load: Load) -> Table:
    table = Table(title=f"{load.name}: {load.title}", title_justify="left", title_style="bold")
    table.add_column("median of the rounds")
    for heading in (
        "runs/s",
        "of bare pods",
        "hand-over p50",
        "p99",
        "run p50",
        "p99",
        "own writes/run",
        "all writes/run",
        "controller CPU/run",
        "API server CPU/run",
        "all CPU/run",
    ):
        table.add_column(heading, justify="right")
    of_load = [r for r in found if r.load == load.name]
    for contender in dict.fromkeys(r.contender for r in of_load):
        mine = [r for r in of_load if r.contender == contender]
        controller = _CONTROLLERS.get(contender)
        table.add_row(
            contender,
            _number(median(r.runs_per_second for r in mine)),
            _number(ratio(found, load.name, contender), digits=2),
            _ms(median(r.handover_p50 for r in mine)),
            _ms(median(r.handover_p99 for r in mine)),
            _ms(median(r.run_p50 for r in mine)),
            _ms(median(r.run_p99 for r in mine)),
            _number(median(r.own_writes for r in mine)),
            _number(median(r.all_writes for r in mine)),
            f"{median(r.cpu_ms[controller] for r in mine):.1f} ms" if controller else "-",
            f"{median(r.cpu_ms['kube-apiserver'] for r in mine):.1f} ms",
            f"{median(sum(r.cpu_ms.values()) for r in mine):.1f} ms",
        )
    return table


_CONTROLLERS: Final = {contender.name: contender.controller for contender in (Jobs, Relay, QuietRelay, LeanRelay)}


def _number(value: float | None, digits: int = 1) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _ms(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds * 1000:.0f} ms"
