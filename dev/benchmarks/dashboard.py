"""The dashboard with many runs, in a real browser: its first load, scrolling, and memory while runs change."""

import asyncio
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

from playwright.async_api import Browser, CDPSession, Page, async_playwright

from dev.benchmarks.arena import Arena, arena
from dev.benchmarks.contenders import BENCH, definition
from dev.benchmarks.errors import BenchmarkError
from dev.benchmarks.figures import median, percentile
from dev.benchmarks.idle import make_runs
from dev.benchmarks.targets import Target
from dev.cluster import Cluster
from dev.harness.gateway import GatewayProcess
from dev.pages import browser, build
from podrelay.kube import config
from podrelay.kube.client import Client
from podrelay.kube.resources import TASK_DEFINITIONS, TASK_RUNS

LOAD_KB: Final = 200
FIRST_ROW_MS: Final = 1500
FRAME_MS: Final = 50
GROWTH_PERCENT: Final = 5
LOADS: Final = 5
"""How often the page is loaded, each time with an empty cache."""
SCROLL_PIXELS: Final = 240
"""Scrolled in each frame: 400 rows a second."""
MOST_SCROLLED: Final = 5000
"""Rows."""
SAMPLE_SECONDS: Final = 20.0
WARM_UP: Final = 0.2
"""The share of the time after which memory should not grow any longer."""
_MIB: Final = 2**20

_NOTE_FIRST_ROW: Final = """
new MutationObserver((_, observer) => {
  if (!document.querySelector('.table-body .row')) return;
  observer.disconnect();
  requestAnimationFrame(() => setTimeout(() => {
    document.documentElement.dataset.firstRow = performance.now();
  }, 0));
}).observe(document, { childList: true, subtree: true });
"""
_PLAIN_LIST: Final = """rows => {
  document.body.innerHTML = '<div class="table-scroll" style="height: 800px; overflow: auto"></div>';
  const row = number => `<div style="height: 36px">${`cell ${number} `.repeat(8)}</div>`;
  document.querySelector('.table-scroll').innerHTML = Array.from({ length: rows }, (_, at) => row(at)).join('');
}"""
"""A page without scripts, whose rows are one text each: what a frame takes on this machine at least."""
_FIRST_ROW: Final = "html[data-first-row]"
_SCROLL: Final = """async ({ pixels, rows }) => {
  const list = document.querySelector('.table-scroll');
  const frames = [], long = [];
  const observer = new PerformanceObserver(entries => {
    for (const one of entries.getEntries()) long.push(one.duration);
  });
  observer.observe({ type: 'longtask' });
  let before = await new Promise(requestAnimationFrame);
  let waited = 0;
  while (list.scrollTop / 36 < rows && waited < 600) {
    const top = list.scrollTop;
    list.scrollTop = top + pixels;
    const now = await new Promise(requestAnimationFrame);
    frames.push(now - before);
    before = now;
    waited = list.scrollTop > top ? 0 : waited + 1;  // the next page is being read
  }
  await new Promise(done => setTimeout(done, 100));
  observer.disconnect();
  return { frames, long, rows: Math.round(list.scrollTop / 36) };
}"""


@dataclass(frozen=True, slots=True)
class Sample:
    """The memory of the page after a garbage collection.

    Attributes:
        seconds: since the runs began to change.
        heap: of JavaScript, in MiB.
        nodes: of all documents.
        listeners: of events.
    """

    seconds: float
    heap: float
    nodes: int
    listeners: int


@dataclass(frozen=True, slots=True)
class Dashboard:
    """The results.

    Attributes:
        runs: the number of runs.
        load_kb: what the first load transfers: page, scripts and style sheet, in kB.
        first_row_ms: from the navigation to the first painted row, for each load.
        first_row_cpu_ms: CPU time of the page's main thread until then.
        frames: the durations of all frames while scrolling, in ms.
        frame_cpu_ms: CPU time of the page's main thread for a frame, on average.
        long_tasks: the durations of all tasks of more than 50 ms while scrolling.
        plain_frames: the same for a page without scripts, whose rows are one text each.
        scrolled: rows that were scrolled over.
        changes_per_second: how often runs changed while memory was measured.
        samples: the memory.
    """

    runs: int
    load_kb: float
    first_row_ms: list[float]
    first_row_cpu_ms: list[float]
    frames: list[float]
    frame_cpu_ms: float
    long_tasks: list[float]
    plain_frames: list[float]
    scrolled: int
    changes_per_second: float
    samples: list[Sample]

    def as_dict(self) -> dict[str, Any]:
        """Return the figures for a JSON file."""
        return asdict(self)

    @property
    def growth_percent(self) -> float:
        """How much the heap has grown since the end of the warm-up, in percent."""
        first, last = self.heaps
        return (last / first - 1) * 100

    @property
    def heaps(self) -> tuple[float, float]:
        """The heap in the first and in the last quarter of the time after the warm-up, in MiB.

        The smallest samples: the others contain what was being shown at that moment.
        """
        warm = self.samples[-1].seconds * WARM_UP
        heaps = [sample.heap for sample in self.samples if sample.seconds >= warm]
        size = max(1, len(heaps) // 4)
        return min(heaps[:size]), min(heaps[-size:])

    @property
    def targets(self) -> list[Target]:
        """Return the targets."""
        return [
            Target("first load", self.load_kb, LOAD_KB, "kB"),
            Target("first row, the slowest load", max(self.first_row_ms), FIRST_ROW_MS, "ms"),
            Target("frame while scrolling, the longest", max(self.frames), FRAME_MS, "ms"),
            Target("growth of the heap after the warm-up", self.growth_percent, GROWTH_PERCENT, "%"),
        ]


def text(found: Dashboard) -> str:
    """Return the figures as human-readable text."""
    first, last = found.heaps
    end = found.samples[-1]
    return "\n".join(
        (
            f"{found.runs} runs, half finished, half delayed",
            f"first load                            {found.load_kb:7.1f} kB",
            f"first row, median and slowest of {LOADS}    {median(found.first_row_ms) or 0:7.0f} ms"
            f"{max(found.first_row_ms):6.0f} ms",
            f"  CPU time of the main thread         {median(found.first_row_cpu_ms) or 0:7.0f} ms",
            f"frames over {found.scrolled} rows, p50, p99, max  {_spread(found.frames)} ms, of {len(found.frames)}",
            f"  the same of a plain list            {_spread(found.plain_frames)} ms, of {len(found.plain_frames)}",
            f"  CPU time of the main thread         {found.frame_cpu_ms:7.1f} ms for a frame",
            f"  tasks of more than 50 ms            {len(found.long_tasks):7}",
            f"memory in {end.seconds / 60:.0f} min of {found.changes_per_second:.0f} changes a second",
            f"  heap after the warm-up, at the end  {first:7.1f} MiB{last:6.1f} MiB",
            f"  nodes, listeners at the end         {end.nodes:7}{end.listeners:11}",
            *map(str, found.targets),
        )
    )


def _spread(durations: list[float]) -> str:
    return " ".join(f"{percentile(durations, share) or 0:5.1f}" for share in (50, 99, 100))


async def measure(cluster: Cluster, folder: Path, runs: int, minutes: float, per_second: float) -> Dashboard:
    """Create the runs, and measure the dashboard while an API server, a gateway and a browser share the machine.

    Raises:
        BenchmarkError: the measurement failed.
        ClusterError: the page cannot be built, or Chromium is missing.
    """
    build.ensure(build.DASHBOARD)
    program = browser.chromium()
    async with Client(config.load(cluster.kubeconfig), BENCH) as client, arena(client, "dashboard") as place:
        await place.create(TASK_DEFINITIONS, definition(1, historyLimit={"runs": runs}))
        await make_runs(place, runs)
        flags = ("--auth=none", "--dashboard", f"--default-namespace={place.namespace}")
        with GatewayProcess(cluster.kubeconfig, folder / "gateway", flags) as gateway:
            async with async_playwright() as playwright:
                launched = await playwright.chromium.launch(executable_path=program, args=[*browser.ARGUMENTS])
                url = f"http://{gateway.address}/runs?namespace={place.namespace}"
                try:
                    return await measured(launched, url, place, runs, minutes, per_second)
                finally:
                    await launched.close()


async def measured(
    launched: Browser, url: str, place: Arena, runs: int, minutes: float, per_second: float
) -> Dashboard:
    """Measure a page with the list of runs, which exist already."""
    loads = [await _load(launched, url) for _ in range(LOADS)]
    page, devtools = await _open(launched, url)
    before = await _cpu_ms(devtools)
    scroll = {"pixels": SCROLL_PIXELS, "rows": min(runs - 50, MOST_SCROLLED)}
    scrolled = await page.evaluate(_SCROLL, scroll)
    scroll_cpu_ms = await _cpu_ms(devtools) - before
    await page.goto("about:blank")
    await page.evaluate(_PLAIN_LIST, runs)
    plain = await page.evaluate(_SCROLL, scroll)
    await page.close()
    if not scrolled["frames"]:
        raise BenchmarkError("the list cannot be scrolled: are there enough runs?")

    page, devtools = await _open(launched, url)
    count, samples = await _followed(devtools, place, runs, minutes * 60, per_second)
    await page.close()
    return Dashboard(
        runs=runs,
        load_kb=max(load.size for load in loads) / 1000,
        first_row_ms=[load.took_ms for load in loads],
        first_row_cpu_ms=[load.cpu_ms for load in loads],
        frames=scrolled["frames"],
        frame_cpu_ms=scroll_cpu_ms / len(scrolled["frames"]),
        long_tasks=scrolled["long"],
        plain_frames=plain["frames"],
        scrolled=scrolled["rows"],
        changes_per_second=count / samples[-1].seconds,
        samples=samples,
    )


class _Load(NamedTuple):
    size: float
    took_ms: float
    cpu_ms: float


async def _cpu_ms(devtools: CDPSession) -> float:
    """Return the CPU time that the main thread of a page has spent on tasks."""
    metrics = (await devtools.send("Performance.getMetrics"))["metrics"]
    return next(float(one["value"]) for one in metrics if one["name"] == "TaskDuration") * 1000


async def _open(launched: Browser, url: str) -> tuple[Page, CDPSession]:
    context = await launched.new_context(viewport={"width": 1440, "height": 900})
    page = await context.new_page()
    devtools = await context.new_cdp_session(page)
    await devtools.send("Performance.enable", {"timeDomain": "threadTicks"})
    await page.add_init_script(_NOTE_FIRST_ROW)
    await page.goto(url)
    await page.locator(_FIRST_ROW).wait_for(state="attached")
    return page, devtools


async def _load(launched: Browser, url: str) -> _Load:
    """Load the page with an empty cache; return the bytes of the page and its files, and when the first row came."""
    context = await launched.new_context(viewport={"width": 1440, "height": 900})
    page = await context.new_page()
    devtools = await context.new_cdp_session(page)
    names: dict[str, str] = {}
    sizes: dict[str, float] = {}
    devtools.on("Network.responseReceived", lambda event: names.update({event["requestId"]: event["response"]["url"]}))
    devtools.on("Network.loadingFinished", lambda event: sizes.update({event["requestId"]: event["encodedDataLength"]}))
    await devtools.send("Network.enable")
    await devtools.send("Performance.enable", {"timeDomain": "threadTicks"})
    await page.add_init_script(_NOTE_FIRST_ROW)
    await page.goto(url)
    took = float(await page.locator(_FIRST_ROW).get_attribute("data-first-row") or 0)
    cpu_ms = await _cpu_ms(devtools)
    await context.close()
    files = sum(size for request, size in sizes.items() if "/graphql" not in names.get(request, ""))
    return _Load(files, took, cpu_ms)


async def _followed(
    devtools: CDPSession, place: Arena, runs: int, seconds: float, per_second: float
) -> tuple[int, list[Sample]]:
    """Change runs for a time; return how many changes there were, and samples of the page's memory."""
    changing = asyncio.create_task(_change(place, runs, seconds, per_second))
    started, samples = time.monotonic(), []
    while not changing.done():
        await asyncio.wait([changing], timeout=SAMPLE_SECONDS)
        samples.append(await _sample(devtools, time.monotonic() - started))
    return await changing, samples


async def _change(place: Arena, runs: int, seconds: float, per_second: float) -> int:
    """Change runs here and there in the list; return how many changes there were."""
    started = time.monotonic()
    for number in range(round(seconds * per_second)):
        await asyncio.sleep(max(0.0, started + number / per_second - time.monotonic()))
        # Every second change is of one of the newest runs, which can be seen.
        run = runs - 1 - number % 20 if number % 2 else number * 7919 % runs
        await place.patch(TASK_RUNS, f"run-{run}", {"status": {"progress": _progress(number)}}, "status")
    return round(seconds * per_second)


def _progress(number: int) -> dict[str, Any]:
    at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"percent": number % 100, "message": f"change {number}", "at": at}


async def _sample(devtools: CDPSession, seconds: float) -> Sample:
    await devtools.send("HeapProfiler.collectGarbage")
    heap = await devtools.send("Runtime.getHeapUsage")
    document = await devtools.send("Memory.getDOMCounters")
    return Sample(seconds, heap["usedSize"] / _MIB, document["nodes"], document["jsEventListeners"])
