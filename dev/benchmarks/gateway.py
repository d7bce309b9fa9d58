"""The gateway with many runs in its cache: its memory, its speed, and how long one request blocks others."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import aiohttp

from dev.benchmarks import processes
from dev.benchmarks.arena import arena
from dev.benchmarks.contenders import BENCH, definition
from dev.benchmarks.errors import BenchmarkError
from dev.benchmarks.figures import percentile
from dev.benchmarks.idle import make_runs
from dev.benchmarks.processes import Memory
from dev.benchmarks.targets import Target
from dev.cluster import Cluster
from dev.harness.gateway import GatewayProcess
from podrelay.kube import config
from podrelay.kube.client import Client
from podrelay.kube.resources import TASK_DEFINITIONS

BLOCK_MS: Final = 50
PAGE_MS: Final = 10
REQUESTS: Final = 300
_FIELDS: Final = """id name definitionId taskStatus createdOn savedOn startedOn finishedOn iterations reason message
    parentId executionName podName namespace createdBy { id displayName type } progress { percent message }"""
_LIST: Final = f"""query($limit: Int, $sort: [WebinyBackgroundTaskListSorter!]) {{ backgroundTasks {{
    listTasks(where: {{iterations_gte: 0, name_not: "x"}}, limit: $limit, sort: $sort) {{
        data {{ {_FIELDS} }} meta {{ cursor totalCount }} }} }} }}"""
_DEFAULT: Final = f"""{{ backgroundTasks {{
    listTasks {{ data {{ {_FIELDS} }} meta {{ cursor hasMoreItems totalCount }} error {{ message code }} }} }} }}"""
_OF_STATUS: Final = _DEFAULT.replace("listTasks", 'listTasks(where: {taskStatus: "success"})')
_STATISTICS: Final = """{ backgroundTasks { statistics { data { total byStatus { status count }
    byDefinition { definitionId byStatus { status count } durations { median p95 } }
    byHour { hour created finished { status count } } } error { message } } } }"""
_GET: Final = f'{{ backgroundTasks {{ getTask(id: "run-1") {{ data {{ {_FIELDS} }} }} }} }}'
_TRIGGER: Final = """mutation { backgroundTasks { triggerTask(definition: "%s", delay: 86400) {
    data { id } error { message } } } }"""

Ask = Callable[..., Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Speed:
    """The durations of sequential requests and the gateway's CPU time for each, in ms."""

    p50: float
    p99: float
    cpu: float


@dataclass(frozen=True, slots=True)
class Figures:
    """The results.

    Attributes:
        runs: the number of runs.
        memory: the memory of the gateway, with the runs in its cache.
        default: listing without arguments: the newest 50, and their number.
        of_status: listing the newest 50 that have succeeded.
        statistics: the statistics of all runs.
        list_50: listing a page of 50, filtered and sorted by name.
        list_100: listing a page of 100.
        get: reading one task.
        trigger: triggering one task.
        block_ms: how long other requests waited while pages of 100 were built (p99 of /healthz).
    """

    runs: int
    memory: Memory
    default: Speed
    of_status: Speed
    statistics: Speed
    list_50: Speed
    list_100: Speed
    get: Speed
    trigger: Speed
    block_ms: float

    def as_dict(self) -> dict[str, Any]:
        """Return the figures for a JSON file."""
        return asdict(self)

    @property
    def targets(self) -> list[Target]:
        """Return the targets."""
        return [
            Target("CPU for a default page", self.default.cpu, PAGE_MS, "ms"),
            Target("wait caused by another request", self.block_ms, BLOCK_MS, "ms"),
        ]


def text(found: Figures) -> str:
    """Return the figures as human-readable text."""
    speeds = {
        "the newest 50": found.default,
        "the newest 50 that have succeeded": found.of_status,
        "statistics": found.statistics,
        "a page of 50, filtered and sorted": found.list_50,
        "a page of 100": found.list_100,
        "one task": found.get,
        "a trigger": found.trigger,
    }
    return "\n".join(
        (
            f"{found.runs} runs in the cache: {found.memory.now:.0f} MiB, at the peak {found.memory.peak:.0f} MiB",
            *(
                f"{what:35} p50 {speed.p50:6.1f} ms   p99 {speed.p99:6.1f} ms   CPU {speed.cpu:6.1f} ms"
                for what, speed in speeds.items()
            ),
            *map(str, found.targets),
        )
    )


async def measure(cluster: Cluster, folder: Path, runs: int) -> Figures:
    """Create the runs, start a gateway, and measure its requests.

    Raises:
        BenchmarkError: the measurement failed.
    """
    async with Client(config.load(cluster.kubeconfig), BENCH) as client, arena(client, "gateway") as place:
        task = definition(1)
        await place.create(TASK_DEFINITIONS, task)
        await make_runs(place, runs)
        flags = ("--auth=none", f"--namespace={place.namespace}")
        with GatewayProcess(cluster.kubeconfig, folder / "gateway", flags) as gateway:
            async with aiohttp.ClientSession(f"http://{gateway.address}") as session:

                async def ask(document: str, **variables: Any) -> Any:
                    body = {"query": document, "variables": variables}
                    headers = {"X-Podrelay-Namespace": place.namespace}
                    async with session.post("/graphql", json=body, headers=headers) as response:
                        answer = await response.json()
                    if answer.get("errors") or "data" not in answer:
                        raise BenchmarkError(f"the gateway responded with {answer}")
                    return answer["data"]["backgroundTasks"]

                (found,) = (await ask(_LIST, limit=1)).values()
                if found["meta"]["totalCount"] != runs:
                    raise BenchmarkError(f"the gateway has {found['meta']['totalCount']} of {runs} runs")
                sort = ["values_name_ASC"]
                pid = gateway.process.pid
                default = await _speed(pid, lambda: ask(_DEFAULT))
                of_status = await _speed(pid, lambda: ask(_OF_STATUS))
                statistics = await _speed(pid, lambda: ask(_STATISTICS))
                list_50 = await _speed(pid, lambda: ask(_LIST, limit=50, sort=sort))
                list_100 = await _speed(pid, lambda: ask(_LIST, limit=100, sort=sort))
                block_ms = await _block(pid, session, lambda: ask(_LIST, limit=100, sort=sort))
                return Figures(
                    runs=runs,
                    default=default,
                    of_status=of_status,
                    statistics=statistics,
                    list_50=list_50,
                    list_100=list_100,
                    get=await _speed(pid, lambda: ask(_GET)),
                    trigger=await _speed(pid, lambda: ask(_TRIGGER % task["metadata"]["name"])),
                    block_ms=block_ms,
                    memory=processes.memory(pid),
                )


async def _speed(pid: int, request: Callable[[], Awaitable[Any]]) -> Speed:
    await request()  # the gateway parses a document once
    taken, used = [], processes.cpu_seconds(pid)
    for _ in range(REQUESTS):
        started = time.perf_counter()
        await request()
        taken.append((time.perf_counter() - started) * 1000)
    cpu = (processes.cpu_seconds(pid) - used) * 1000 / REQUESTS
    return Speed(percentile(taken, 50) or 0.0, percentile(taken, 99) or 0.0, cpu)


async def _block(pid: int, session: aiohttp.ClientSession, request: Callable[[], Awaitable[Any]]) -> float:
    """Request /healthz while lists are built one after the other; return the p99 of its duration."""
    working = asyncio.create_task(_speed(pid, request))
    taken = []
    while not working.done():
        started = time.perf_counter()
        async with session.get("/healthz") as response:
            await response.read()
        taken.append((time.perf_counter() - started) * 1000)
    await working
    return percentile(taken, 99) or 0.0
