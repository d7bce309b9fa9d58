"""The lifecycle hooks of a run: what they are called, and which of them follow from how it ended.

Standard library only: operator and runner have to agree on it.
"""

import re
from typing import Final

ON_BEFORE_TRIGGER: Final = "onBeforeTrigger"
ON_DONE: Final = "onDone"
ON_ERROR: Final = "onError"
ON_ABORT: Final = "onAbort"
ON_MAX_ITERATIONS: Final = "onMaxIterations"

METHODS: Final = {
    ON_BEFORE_TRIGGER: "on_before_trigger",
    ON_DONE: "on_done",
    ON_ERROR: "on_error",
    ON_ABORT: "on_abort",
    ON_MAX_ITERATIONS: "on_max_iterations",
}
"""From the name in the resource to the method of the class."""

MAX_ITERATIONS_REASON: Final = "MaxIterations"

_WITHOUT_HOOKS: Final = frozenset(
    {
        "InvalidInput",
        "Rejected",
        "ParentNotFound",
        "NotAllowed",
        "ParentAborted",
        "NodeLost",
        "Deleted",
        "Restored",
        "TooManyChildren",
        "TooManyAncestors",
    }
)
"""Reasons of runs that never began, and of those whose last pod may still run: no hook is called beside it."""

_POD_SUFFIXES: Final = {ON_DONE: "hdone", ON_ERROR: "herror", ON_ABORT: "habort", ON_MAX_ITERATIONS: "hmax"}
_HOOK_POD: Final = re.compile(rf"-(?:{'|'.join(_POD_SUFFIXES.values())})(?:t\d+)?$")


def due_after(phase: str | None, reason: str | None) -> tuple[str, ...]:
    """Return the hooks that follow when a run has ended in this phase and for this reason, in their order."""
    if reason in _WITHOUT_HOOKS:
        return ()
    match phase:
        case "Succeeded":
            return (ON_DONE,)
        case "Aborted":
            return (ON_ABORT,)
        case "Failed":
            return (ON_MAX_ITERATIONS, ON_ERROR) if reason == MAX_ITERATIONS_REASON else (ON_ERROR,)
        case _:
            return ()


def pod_name(run: str, hook: str, attempt: int) -> str:
    """Return the name of the pod, and of its record, that calls `hook`, and those that follow it.

    Args:
        run: name of the TaskRun.
        hook: the first hook that it calls, by its name in the resource.
        attempt: 1, or more after pods that were lost.
    """
    name = f"{run}-{_POD_SUFFIXES[hook]}"
    return name if attempt == 1 else f"{name}t{attempt}"


def is_hook_pod(name: str) -> bool:
    """Tell whether a pod or record of this name is one that calls hooks only."""
    return _HOOK_POD.search(name) is not None
