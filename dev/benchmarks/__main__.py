"""The command line: `python -m dev.benchmarks NAME`, such as `relay`; `--help` lists the names."""

import argparse
import asyncio
import json
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import uvloop
from rich.console import Console

from dev.benchmarks import dashboard, gateway, handover, idle, large, relay, report, schedules
from dev.benchmarks.contenders import Floor, Jobs, LeanRelay, LeastWrites, QuietRelay, Relay, SamePods
from dev.benchmarks.errors import BenchmarkError
from dev.benchmarks.loads import LOADS, Load
from dev.benchmarks.rounds import Round
from dev.cluster import Cluster, ClusterError, up
from dev.harness import chart
from dev.harness.kubectl import Kubectl


def main() -> int:
    """Run a benchmark; return the exit code, which does not depend on the results."""
    arguments = _parser().parse_args()
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 160)
    folder = Path(tempfile.mkdtemp(prefix="podrelay-bench-"))
    try:
        results = arguments.measure(arguments, arguments.start(folder), folder, console)
    except (BenchmarkError, ClusterError) as error:
        print(f"\nNothing measured: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    if arguments.json:
        _write(arguments.json, results)
    console.print(f"\nlogs: {folder}; the cluster is left running, `make down` removes it")
    return 0


def _control_plane(folder: Path) -> Cluster:
    cluster = up("control-plane")
    chart.install(Kubectl.of(cluster, folder))
    return cluster


def _relay(arguments: argparse.Namespace, cluster: Cluster, folder: Path, console: Console) -> dict[str, Any]:
    loads = tuple(_scaled(load, arguments.scale) for load in LOADS if load.name in (arguments.load or _NAMES))

    seen: list[Round] = []

    def report_round(found: Round) -> None:
        seen.append(found)
        if arguments.json:  # a later round may fail, or the user may interrupt it
            _write(arguments.json, {"rounds": [one.as_dict() for one in seen]})
        console.print(
            f"round {found.number}  {found.load:6} {found.contender:12} {found.runs_per_second:7.1f} runs/s",
            style="dim",
        )

    results = uvloop.run(
        relay.measure(cluster, folder, loads, arguments.rounds, frozenset(arguments.without), report_round)
    )
    console.print()
    report.relay(console, results, loads)
    return report.as_dict(results, loads)


def _handover(arguments: argparse.Namespace, cluster: Cluster, folder: Path, console: Console) -> dict[str, Any]:
    def report_one(result: handover.Result) -> None:
        console.print(f"{result.name}: {len(result.seconds)} hand-overs", style="dim")

    results = handover.measure(cluster, folder, arguments.length, report_one)
    console.print(handover.text(results))
    return {"handover": [result.as_dict() for result in results]}


def _idle(arguments: argparse.Namespace, cluster: Cluster, folder: Path, console: Console) -> dict[str, Any]:
    found = uvloop.run(idle.measure(cluster, folder, arguments.runs))
    console.print(idle.text(found))
    return found.as_dict()


def _large(arguments: argparse.Namespace, cluster: Cluster, folder: Path, console: Console) -> dict[str, Any]:
    found = uvloop.run(large.measure(cluster, folder, arguments.records, arguments.runs))
    console.print(large.text(found))
    return found.as_dict()


def _gateway(arguments: argparse.Namespace, cluster: Cluster, folder: Path, console: Console) -> dict[str, Any]:
    found = uvloop.run(gateway.measure(cluster, folder, arguments.runs))
    console.print(gateway.text(found))
    return found.as_dict()


def _dashboard(arguments: argparse.Namespace, cluster: Cluster, folder: Path, console: Console) -> dict[str, Any]:
    found = asyncio.run(
        dashboard.measure(cluster, folder, arguments.runs, arguments.minutes, arguments.changes_per_second)
    )
    console.print(dashboard.text(found))
    return found.as_dict()


def _schedules(arguments: argparse.Namespace, cluster: Cluster, folder: Path, console: Console) -> dict[str, Any]:
    found = uvloop.run(schedules.measure(cluster, folder, arguments.schedules, arguments.per_second))
    console.print(schedules.text(found))
    return found.as_dict()


def _write(path: Path, results: dict[str, Any]) -> None:
    path.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


def _scaled(load: Load, scale: float) -> Load:
    return replace(load, runs=max(1, round(load.runs * scale)))


_NAMES = tuple(load.name for load in LOADS)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m dev.benchmarks", description=sys.modules[__name__].__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    titles = "; ".join(f"{load.name}: {load.title}" for load in LOADS)

    passing = commands.add_parser("relay", help="bare pods, least writes, Jobs, Podrelay side by side", epilog=titles)
    passing.add_argument("--load", choices=_NAMES, action="append", help="only this one; can be given several times")
    passing.add_argument("--rounds", type=int, default=3, help="how often each load is measured (default: 3)")
    passing.add_argument("--scale", type=float, default=1.0, help="factor for the number of runs (default: 1)")
    contenders = (Floor.name, LeastWrites.name, SamePods.name, Jobs.name, Relay.name, QuietRelay.name, LeanRelay.name)
    passing.add_argument("--without", choices=contenders, action="append", default=[], help="skip this one")
    passing.set_defaults(measure=_relay, start=_control_plane)

    passed_on = commands.add_parser("handover", help="from an answer to the next call of run(), with real pods on kind")
    passed_on.add_argument("--length", type=int, default=15, help="iterations of each run (default: 15)")
    passed_on.set_defaults(measure=_handover, start=handover.start)

    still = commands.add_parser("idle", help="start-up time and memory of the operator with inactive runs")
    still.add_argument("--runs", type=int, default=10_000, help="number, half of them finished (default: 10000)")
    still.set_defaults(measure=_idle, start=_control_plane)

    door = commands.add_parser("gateway", help="memory and speed of the GraphQL gateway with many runs in its cache")
    door.add_argument("--runs", type=int, default=10_000, help="number, half of them finished (default: 10000)")
    door.set_defaults(measure=_gateway, start=_control_plane)

    page = commands.add_parser("dashboard", help="first load, scrolling and memory of the dashboard in Chromium")
    page.add_argument("--runs", type=int, default=10_000, help="number, half of them finished (default: 10000)")
    page.add_argument("--minutes", type=float, default=10, help="for how long runs change (default: 10)")
    page.add_argument("--changes-per-second", type=float, default=20, help="of all runs (default: 20)")
    page.set_defaults(measure=_dashboard, start=_control_plane)

    wide = commands.add_parser("large", help="memory of operator and gateway with objects of the maximum size")
    wide.add_argument("--records", type=int, default=500, help="number of records of 490 KiB (default: 500)")
    wide.add_argument("--runs", type=int, default=360, help="number of runs with an input of 250 KB (default: 360)")
    wide.set_defaults(measure=_large, start=_control_plane)

    hour = commands.add_parser("schedules", help="how late runs are when many schedules have the same time")
    hour.add_argument("--schedules", type=int, default=1000, help="number (default: 1000)")
    hour.add_argument("--per-second", type=int, default=20, help="limit of the operator (default: 20)")
    hour.set_defaults(measure=_schedules)

    for command in (passing, passed_on, still, wide, door, page, hour):
        command.add_argument("--json", type=Path, metavar="FILE", help="also write all figures to this file")
    return parser


if __name__ == "__main__":
    sys.exit(main())
