"""Checks whether this pod is the one that is due. Pure: it returns a reason why the pod must exit.

The name of a pod is unique only while the pod exists, so the runner itself checks before it runs user code.
"""

from typing import Any

from podrelay.api import names
from podrelay.api.phases import FINISHED
from podrelay.runner.environment import Environment


def due_try(status: dict[str, Any]) -> tuple[int, int]:
    """Return the iteration and the attempt that are due according to the status of a run."""
    attempt = 1 + (status.get("attempts") or 0) + (status.get("disruptions") or 0)
    return names.iteration_of(status.get("lastRecord") or "") + 1, attempt


def is_released(run: dict[str, Any], me: Environment) -> bool:
    """Return whether this pod may run the task: one that was created ahead, when the status of its run names it."""
    current = (run.get("status") or {}).get("current") or {}
    return not me.after or current.get("podUID") == me.pod_uid


def superseded(run: dict[str, Any] | None, record: dict[str, Any] | None, me: Environment) -> str | None:
    """Return why this pod must not run user code, or None if it may.

    Args:
        run: the current TaskRun, or None if it does not exist.
        record: the record with this pod's name, or None if it does not exist.
        me: the environment of this pod.
    """
    if run is None or run["metadata"]["uid"] != me.run_uid:
        return f"TaskRun {me.run} is gone"
    status = run.get("status") or {}
    if status.get("phase") in FINISHED:
        return f"TaskRun {me.run} is finished: {status['phase']}"
    if (run.get("spec") or {}).get("abort") is not None:
        return f"TaskRun {me.run} is being aborted"
    due = due_try(status)
    if (me.iteration, me.attempt) < due:
        return f"iteration {me.iteration} attempt {me.attempt} is over; iteration {due[0]} attempt {due[1]} is due"
    current = status.get("current")
    if current and (current["iteration"], current["try"]) > (me.iteration, me.attempt):
        return f"pod {current['podName']} has taken over"
    if current and current["podName"] == me.pod_name and current["podUID"] != me.pod_uid:
        return "another pod of this name has taken its place"
    if record is not None and record.get("podUID") != me.pod_uid:
        return "another pod of this name has run before"
    if record is not None:
        return "a container of this pod has run before"
    return None
