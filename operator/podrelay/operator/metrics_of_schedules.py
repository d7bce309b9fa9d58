"""Prometheus metrics of schedules. Labels are bounded: their values come from fixed sets."""

from typing import Final

from prometheus_client import Counter, Histogram

STARTED: Final = Counter("podrelay_schedule_runs_started", "Runs that schedules and their backfills have started.")
LATE_SECONDS: Final = Histogram(
    "podrelay_schedule_late_seconds",
    "Time from when a run of a schedule was due until it was created, without backfills.",
    buckets=(0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 3600),
)
TIMES: Final = Counter(
    "podrelay_schedule_times_without_run",
    "Times of schedules whose run was not started, by reason: missed, or a reason of status.skipped.",
    ["reason"],
)
