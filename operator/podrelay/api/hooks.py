"""The lifecycle hooks of a run: their names, and which of them are called for which outcome.

Standard library only, because operator and runner both import it.
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
"""The method of the class, by the name of the hook in the resource."""

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
"""Reasons of runs that never began, and of runs whose last pod may still be running: no hook is called for them."""

_POD_SUFFIXES: Final = {ON_DONE: "hdone", ON_ERROR: "herror", ON_ABORT: "habort", ON_MAX_ITERATIONS: "hmax"}
_HOOK_POD: Final = re.compile(rf"-(?:{'|'.join(_POD_SUFFIXES.values())})(?:t\d+)?$")


def due_after(phase: str | None, reason: str | None) -> tuple[str, ...]:
    """Return the hooks that are called for a run that finished in this phase for this reason, in order."""
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
    """Return the name of a pod, and of its record, that calls hooks after the end of a run.

    Args:
        run: name of the TaskRun.
        hook: the first hook that follows the end of the run, by its name in the resource.
        attempt: 1, or more after pods that were lost.
    """
    name = f"{run}-{_POD_SUFFIXES[hook]}"
    return name if attempt == 1 else f"{name}t{attempt}"


def is_hook_pod(name: str) -> bool:
    """Return whether this is the name of a pod that only calls hooks, or of its record."""
    return _HOOK_POD.search(name) is not None
