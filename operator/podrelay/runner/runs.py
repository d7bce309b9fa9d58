"""Converts TaskRuns to the form that task code sees. Pure."""

from datetime import datetime
from typing import Any

from podrelay.api import names
from podrelay.api.phases import PENDING, STATUS_WORDS
from podrelay.sdk.task import TaskRun


def task_run(stored: dict[str, Any], output: dict[str, Any] | None = None) -> TaskRun:
    """Return the view for task code of a TaskRun.

    Args:
        stored: the resource as JSON.
        output: its output if that is too large for the resource.
    """
    metadata, spec, status = stored["metadata"], stored["spec"], stored.get("status") or {}
    return TaskRun(
        id=metadata["name"],
        name=spec.get("displayName") or "",
        definition=spec["definition"],
        status=STATUS_WORDS[status.get("phase") or PENDING],
        input=spec.get("input") or {},
        output=status.get("output") if output is None else output,
        iterations=status.get("iterations") or 0,
        parent=spec.get("parent"),
        created_by=(metadata.get("annotations") or {}).get(names.ANNOTATION_CREATED_BY),
        message=status.get("message") or "",
        error=status.get("error"),
        created_on=_moment(metadata.get("creationTimestamp")),
        started_on=_moment(status.get("startedAt")),
        finished_on=_moment(status.get("finishedAt")),
    )


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
