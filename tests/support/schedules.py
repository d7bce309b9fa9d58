"""TaskSchedules as users write them, and what becomes of them."""

from typing import Any

from dev.harness.manifests import API_VERSION, TASK_RUNS, Manifest
from tests.support.relay import Relay

TASK_SCHEDULES = "taskschedules.podrelay.dev"


def task_schedule(
    name: str = "nightly", definition: str = "count-words", *, metadata: Manifest | None = None, **spec: Any
) -> Manifest:
    """Return a TaskSchedule; `run` in the spec is merged with the definition."""
    run = {"definition": definition} | spec.pop("run", {})
    spec.setdefault("schedules", [{"cron": "30 2 * * *"}])
    return {
        "apiVersion": API_VERSION,
        "kind": "TaskSchedule",
        "metadata": {"name": name} | (metadata or {}),
        "spec": {"run": run} | spec,
    }


def status(relay: Relay, name: str) -> Manifest:
    """Return the status of a schedule; empty if no operator has seen it."""
    found: Manifest = relay.kubectl.get(TASK_SCHEDULES, name).get("status", {})
    return found


def runs_of(relay: Relay, schedule: str) -> list[Manifest]:
    """Return the runs of a schedule, by name."""
    runs = relay.kubectl.objects(TASK_RUNS, "--selector", f"podrelay.dev/schedule={schedule}")
    return sorted(runs, key=lambda run: run["metadata"]["name"])


def apply(relay: Relay, name: str, definition: str, **spec: Any) -> None:
    """Create a schedule."""
    applied = relay.kubectl.create(task_schedule(name, definition, **spec))
    assert applied, str(applied)
