"""The light view of a TaskRun that task code gets."""

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
