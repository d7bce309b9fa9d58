"""Prometheus metrics of the operator. Labels are bounded: they take values from fixed sets, or from `run_metrics`."""

from typing import Final

from prometheus_client import Counter, Gauge, Histogram, Summary

WRITES: Final = Counter("podrelay_api_writes", "Writes to the API server on behalf of runs, by what they do.", ["kind"])
DEFINITION_WRITES: Final = Counter(
    "podrelay_definition_writes", "Writes of the status of definitions, by what they tell.", ["kind"]
)
RECONCILES: Final = Counter("podrelay_reconciles", "Looks at a run, by outcome.", ["outcome"])
RECONCILE_SECONDS: Final = Histogram(
    "podrelay_reconcile_seconds",
    "Time for one look at a run, its writes included.",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
)
FINISHED: Final = Counter(
    "podrelay_runs_finished",
    "Runs that reached a final phase while this replica led.",
    ["namespace", "definition", "phase"],
)
RUN_SECONDS: Final = Summary(
    "podrelay_run_seconds",
    "Time from the first pod of a run to its end, waits between iterations included.",
    ["namespace", "definition"],
)
EVENTS_DROPPED: Final = Counter(
    "podrelay_events_dropped", "Events of runs that were left out because there were too many at once."
)
QUEUE_DEPTH: Final = Gauge("podrelay_queue_depth", "Runs that wait for a worker.")
QUEUE_OLDEST_SECONDS: Final = Gauge(
    "podrelay_queue_oldest_seconds", "For how long the run that has waited longest for a worker has done so."
)
CACHED: Final = Gauge("podrelay_cached_objects", "Objects in memory, by kind.", ["kind"])
LEADING: Final = Gauge("podrelay_leading", "1 while this replica holds the Lease.")
WATCH_BROKEN_SECONDS: Final = Gauge(
    "podrelay_watch_broken_seconds",
    "For how long nothing was seen of a kind of object, in the namespace that is worst off; 0 while all is well.",
    ["resource"],
)
POLICY_PROBLEMS: Final = Gauge(
    "podrelay_policy_problems",
    "What is wrong with the admission policies that the operator relies on; NaN if it may not read them.",
)
KOPF_RESTARTS: Final = Counter("podrelay_kopf_restarts", "How often kopf ended by itself and was started again.")
