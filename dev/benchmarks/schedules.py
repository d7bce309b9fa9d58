"""Many schedules at the same full hour: how late their runs are created, and how many are created in a second."""

import asyncio
import re
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final

from dev.benchmarks.arena import Arena, arena
from dev.benchmarks.contenders import BENCH
from dev.benchmarks.figures import percentile
from dev.benchmarks.operators import operator
from dev.benchmarks.polling import until
from dev.cluster import Cluster
from podrelay.api import names
from podrelay.kube import config
from podrelay.kube.client import Client
from podrelay.kube.resources import TASK_SCHEDULES
from podrelay.schedules.timetable import in_text

_LATE: Final = re.compile(r"run of a schedule started.*late_seconds=([0-9.]+)")
_SETTLE_SECONDS: Final = 15.0
"""From the last schedule until the full hour: the operator writes the first status of each."""
_PATIENCE_SECONDS: Final = 300.0


@dataclass(frozen=True, slots=True)
class FullHour:
    """The results.

    Attributes:
        schedules: the number of schedules.
        per_second: the limit of the operator, in runs a second.
        p50: the median of the time from the full hour until a run was created, in seconds.
        p99: its 99th percentile.
        latest: its maximum.
        most_in_a_second: the largest number of runs that were created in a second.
    """

    schedules: int
    per_second: int
    p50: float
    p99: float
    latest: float
    most_in_a_second: int

    def as_dict(self) -> dict[str, Any]:
        """Return the figures for a JSON file."""
        return asdict(self)


def text(found: FullHour) -> str:
    """Return the figures as human-readable text."""
    return "\n".join(
        (
            f"{found.schedules} schedules at the same time, at most {found.per_second} starts a second",
            f"late, p50                      {found.p50:7.2f} s",
            f"late, p99                      {found.p99:7.2f} s",
            f"late, maximum                  {found.latest:7.2f} s",
            f"most runs created in a second  {found.most_in_a_second:7}",
        )
    )


async def measure(cluster: Cluster, folder: Path, schedules: int, per_second: int) -> FullHour:
    """Create the schedules, and measure how late each run is created.

    Raises:
        BenchmarkError: the measurement failed.
    """
    log, flags = folder / "operator.log", (f"--max-schedule-starts-per-second={per_second}",)
    async with Client(config.load(cluster.kubeconfig), BENCH) as client, arena(client, "schedules") as place:
        async with operator(cluster.kubeconfig, log, (place.namespace,), flags):
            hour = _next_time(datetime.now(UTC) + timedelta(seconds=_SETTLE_SECONDS + schedules / 50))
            await asyncio.gather(*(_create(place, number, hour) for number in range(schedules)))
            wait = (hour - datetime.now(UTC)).total_seconds()
            await asyncio.sleep(max(0.0, wait))
            await until("all runs have been created", partial(_has_all, log, schedules), _PATIENCE_SECONDS, every=0.5)
        late = sorted(_late(log))
        await place.clear()
    return FullHour(
        schedules,
        per_second,
        percentile(late, 50) or 0.0,
        percentile(late, 99) or 0.0,
        late[-1],
        max(sum(begin <= other < begin + 1 for other in late) for begin in late),
    )


def _next_time(after: datetime) -> datetime:
    return datetime.fromtimestamp((after.timestamp() // 10 + 1) * 10, UTC)


async def _create(place: Arena, number: int, hour: datetime) -> None:
    spec = {
        "schedules": [{"every": "10s"}],
        "startAt": in_text(hour),
        "endAt": in_text(hour + timedelta(seconds=1)),
        "run": {"definition": "missing"},  # so that only the schedules are measured, and no pods
    }
    name = f"hourly-{number}"
    manifest = {"apiVersion": names.API_VERSION, "kind": "TaskSchedule", "metadata": {"name": name}, "spec": spec}
    await place.create(TASK_SCHEDULES, manifest)


def _late(log: Path) -> list[float]:
    return [float(found) for found in _LATE.findall(log.read_text(encoding="utf-8"))]


async def _has_all(log: Path, schedules: int) -> bool:
    return len(await asyncio.to_thread(_late, log)) >= schedules
