"""The light view of a TaskRun that task code gets."""

from datetime import datetime
from typing import Any, NamedTuple


class TaskRun(NamedTuple):
    """One piece of work, as its task sees it.

    Attributes:
        id: name of the TaskRun.
        name: its name for people; empty where it has none.
        definition: name of its TaskDefinition, in kebab-case.
        status: pending, running, success, failed or aborted (Webiny's words).
        input: the input now.
        output: the output so far, or None.
        iterations: how many times run() has been called, this call included.
        parent: name of the TaskRun that this one is a child of, or None.
        created_by: who made it, as far as known.
        message: what the run says last, in words.
        error: why it failed, with message, and code and data where there are any; None if it has not.
        created_on: when it was made, aware; None where that is not known.
        started_on: when its first pod was made, or None.
        finished_on: when it ended, or None.
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
    """What on_before_trigger gets: a run that is about to begin.

    Attributes:
        definition: name of the TaskDefinition, in kebab-case.
        name: name of the run for people; empty where it has none.
        input: the input, as the type that run() annotates.
        parent: name of the parent TaskRun, or None.
        id: name of the TaskRun.
    """

    definition: str
    name: str
    input: Any
    parent: str | None
    id: str
