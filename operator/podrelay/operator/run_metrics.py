"""Metrics for alerts: by definition, the number of runs in each state, and when a run last succeeded or failed.

They are computed from the cache on request, in portions that do not block the event loop. Labels are bounded:
definitions beyond the first thousand are counted together.
"""

import asyncio
from collections import Counter as Tally
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from prometheus_client.core import GaugeMetricFamily, Metric

from podrelay.api.phases import FINISHED
from podrelay.operator import metrics
from podrelay.operator.cache.store import Store
from podrelay.operator.objects.runs import TaskRun, TaskRunStatus

MOST_DEFINITIONS: Final = 1000
OTHERS: Final = ("", "(others)")
STATES: Final = ("running", "waiting", "queued", "suspended", "stalled", "pending")
_TURN: Final = 1000
"""Runs that are counted without a pause: some three milliseconds."""
_BY_REASON: Final = {
    "Queued": "queued",
    "Suspended": "suspended",
    "DefinitionSuspended": "suspended",
    "Waiting": "waiting",
    "WaitingForChildren": "waiting",
    "Delayed": "waiting",
    "Retrying": "waiting",
}


class Series(NamedTuple):
    """Labels of a definition."""

    namespace: str
    definition: str


class RunMetrics:
    """Keeps the latest numbers, for the registry of Prometheus.

    Args:
        most: how many definitions have their own series.
    """

    def __init__(self, most: int = MOST_DEFINITIONS) -> None:
        self._most = most
        self._known: set[Series] = set()
        self._counts: Tally[tuple[Series, str]] = Tally()
        self._last: dict[str, dict[Series, float]] = {"Succeeded": {}, "Failed": {}}
        """Seconds since 1970, by phase; they are kept after the deletion of the run."""
        self._is_leading = False

    def series_of(self, namespace: str, definition: str) -> Series:
        """Return the labels of a definition."""
        series = Series(namespace, definition)
        if series in self._known:
            return series
        if len(self._known) >= self._most:
            return Series(*OTHERS)
        self._known.add(series)
        return series

    async def update(self, store: Store, *, leads: bool) -> None:
        """Count again; a standby exports no numbers, so that no run is counted twice."""
        self._is_leading = leads
        if not leads:
            return
        counts: Tally[tuple[Series, str]] = Tally()
        for key in store.definitions.all_keys():
            for state in STATES:
                counts[self.series_of(key.namespace, key.name), state] += 0
        for number, key in enumerate(store.runs.all_keys(), 1):
            for run in store.runs.of(key):
                self._count(run, counts)
            if number % _TURN == 0:
                await asyncio.sleep(0)
        self._counts = counts

    def _count(self, run: TaskRun, counts: Tally[tuple[Series, str]]) -> None:
        series, status = self.series_of(run.metadata.namespace, run.spec.definition), run.status
        if status.phase not in FINISHED:
            counts[series, state_of(status)] += 1
        elif status.phase in self._last and status.finished_at is not None:
            last, at = self._last[status.phase], status.finished_at.timestamp()
            last[series] = max(last.get(series, 0.0), at)

    def finished(self, run: TaskRun, status: TaskRunStatus) -> None:
        """Count a finished run."""
        namespace, definition = self.series_of(run.metadata.namespace, run.spec.definition)
        metrics.FINISHED.labels(namespace, definition, status.phase or "").inc()
        began = status.started_at
        if began is not None and status.finished_at is not None:
            seconds = (status.finished_at - began).total_seconds()
            metrics.RUN_SECONDS.labels(namespace, definition).observe(max(0.0, seconds))

    def collect(self) -> Iterable[Metric]:
        """Return the metrics in the form that the registry needs."""
        return [*self._families()] if self._is_leading else []

    def describe(self) -> Iterable[Metric]:
        """Return nothing, so that the registry does not collect metrics when this is registered."""
        return []

    def _families(self) -> Iterator[Metric]:
        labels = ["namespace", "definition"]
        runs = GaugeMetricFamily(
            "podrelay_runs", "Unfinished runs, by definition and state.", labels=[*labels, "state"]
        )
        for (series, state), count in sorted(self._counts.items()):
            runs.add_metric([*series, state], count)
        yield runs
        for phase, name in (("Succeeded", "success"), ("Failed", "failure")):
            family = GaugeMetricFamily(
                f"podrelay_last_{name}_timestamp_seconds",
                f"When a run of the definition {phase.lower()} last, as seconds since 1970.",
                labels=labels,
            )
            for series, at in sorted(self._last[phase].items()):
                family.add_metric([*series], at)
            yield family


def state_of(status: TaskRunStatus) -> str:
    """Return the state of an unfinished run, one of STATES."""
    stalled = status.condition("Stalled")
    if stalled is not None and stalled.status == "True":
        return "stalled"
    return _BY_REASON.get(status.reason or "", "running" if status.current is not None else "pending")
