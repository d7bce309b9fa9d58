"""The view of a TaskRun for task code."""

from datetime import datetime
from typing import Any, NamedTuple


class TaskRun(NamedTuple):
    """A run as its task sees it.

    Attributes:
        id: name of the TaskRun.
        name: its human-readable name, or empty.
        definition: name of its TaskDefinition, in kebab-case.
        status: pending, running, success, failed or aborted (Webiny's terms).
        input: the current input.
        output: the output so far, or None.
        iterations: how many times run() has been called, this call included.
        parent: name of the TaskRun that this one is a child of, or None.
        created_by: who created it, or None if that is not known.
        message: the latest message of the run, in plain text.
        error: why it failed, as a dict with message and, if known, code and data; None if it has not failed.
        created_on: when it was created, with a time zone; None if that is not known.
        started_on: when its first pod was created, or None.
        finished_on: when it finished, or None.
    """

    id: str
    name: str
    definition: str
    status: str
    input: dict[str, Any]
    output: dict[str, Any] | None
    iterations: int
    parent: str | None = None
    created_by: str | None = None
    message: str = ""
    error: dict[str, Any] | None = None
    created_on: datetime | None = None
    started_on: datetime | None = None
    finished_on: datetime | None = None


class TriggerData(NamedTuple):
    """The argument of on_before_trigger: a run that is about to begin.

    Attributes:
        definition: name of the TaskDefinition, in kebab-case.
        name: human-readable name of the run, or empty.
        input: the input, as an instance of the type that run() is annotated with.
        parent: name of the parent TaskRun, or None.
        id: name of the TaskRun.
    """

    definition: str
    name: str
    input: Any
    parent: str | None
    id: str
