"""TaskSchedules as users write them."""

from typing import Any

from dev.harness.manifests import API_VERSION, Manifest

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
