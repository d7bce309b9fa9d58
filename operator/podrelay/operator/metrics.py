"""Prometheus metrics of the operator. Labels are bounded: their values come from fixed sets, or from `run_metrics`."""

from typing import Final

from prometheus_client import Counter, Gauge, Histogram, Summary

WRITES: Final = Counter("podrelay_api_writes", "Writes to the API server on behalf of runs, by kind.", ["kind"])
DEFINITION_WRITES: Final = Counter(
    "podrelay_definition_writes", "Writes of the status of definitions, by kind.", ["kind"]
)
RECONCILES: Final = Counter("podrelay_reconciles", "Reconciliations of runs, by outcome.", ["outcome"])
RECONCILE_SECONDS: Final = Histogram(
    "podrelay_reconcile_seconds",
    "Duration of one reconciliation of a run, including its writes.",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
)
FINISHED: Final = Counter(
    "podrelay_runs_finished",
    "Runs that finished while this replica was the leader.",
    ["namespace", "definition", "phase"],
)
RUN_SECONDS: Final = Summary(
    "podrelay_run_seconds",
    "Time from the first pod of a run to its end, including waits between iterations.",
    ["namespace", "definition"],
)
EVENTS_DROPPED: Final = Counter(
    "podrelay_events_dropped", "Events of runs that were dropped because there were too many at once."
)
QUEUE_DEPTH: Final = Gauge("podrelay_queue_depth", "Runs that wait for a worker.")
QUEUE_OLDEST_SECONDS: Final = Gauge(
    "podrelay_queue_oldest_seconds", "For how long the oldest ready run has been waiting for a worker."
)
CACHED: Final = Gauge("podrelay_cached_objects", "Objects in memory, by kind.", ["kind"])
LEADING: Final = Gauge("podrelay_leading", "1 while this replica holds the Lease.")
SERVER_CLOCK_AHEAD_SECONDS: Final = Gauge(
    "podrelay_server_clock_ahead_seconds",
    "How far the API server's clock is ahead of this machine's, to about a second; NaN if it is not trusted.",
)
WATCH_BROKEN_SECONDS: Final = Gauge(
    "podrelay_watch_broken_seconds",
    "For how long the watch of a kind of object has been broken, the longest time of all namespaces; 0 if it works.",
    ["resource"],
)
POLICY_PROBLEMS: Final = Gauge(
    "podrelay_policy_problems",
    "Number of problems of the admission policies that the operator relies on; NaN if it may not read them.",
)
KOPF_RESTARTS: Final = Counter("podrelay_kopf_restarts", "How often kopf ended by itself and was restarted.")
