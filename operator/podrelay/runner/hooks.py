"""Calls the lifecycle hooks of a task and returns their outcomes.

After an answer that may finish the run, the pod waits until it reads the final phase of the run: the answer alone does
not determine it (an abort may have come first). Then it calls the hooks for that phase, with the finished run. If the
pod that answered cannot do so, the operator creates a pod that only calls hooks.
"""

from collections.abc import Callable
from typing import Any, Final

from podrelay.api import hooks, limits, names
from podrelay.api.phases import FINISHED
from podrelay.runner import tracebacks
from podrelay.runner.answering import answer_of_exception, clean
from podrelay.runner.api_client import ApiClient, Deadline
from podrelay.runner.environment import Environment
from podrelay.runner.fence import due_try
from podrelay.sdk.answers import Failed
from podrelay.sdk.calling import call as call_it
from podrelay.sdk.definition import TaskDefinition
from podrelay.sdk.task import TriggerData

_FIRST_PAUSE_SECONDS: Final = 0.05
_LONGEST_PAUSE_SECONDS: Final = 1.0


def call(definition: TaskDefinition, hook: str, argument: Any) -> dict[str, Any]:
    """Call one hook and return its outcome in the form to store; print the traceback of an exception to stderr.

    Args:
        definition: the task.
        hook: name of the hook in the resource, for example onDone.
        argument: the argument of the method.
    """
    method: Callable[[Any], Any] = getattr(definition, hooks.METHODS[hook])
    try:
        call_it(method, argument)
    except BaseException as error:  # noqa: BLE001 - any exception is the hook's outcome
        tracebacks.show(error)
        return {"name": hook, "outcome": "Failed", "message": clean(_words(error), limits.HOOK_MESSAGE_LENGTH)}
    return {"name": hook, "outcome": "Succeeded"}


def ask_before(definition: TaskDefinition, data: TriggerData) -> tuple[dict[str, Any], Failed | None]:
    """Call on_before_trigger; return its outcome, and the answer if it rejects the run."""
    try:
        call_it(definition.on_before_trigger, data)
    except BaseException as error:  # noqa: BLE001 - any exception is the hook's outcome
        answer = answer_of_exception(error)
        message = clean(answer.message, limits.HOOK_MESSAGE_LENGTH)
        outcome = {"name": hooks.ON_BEFORE_TRIGGER, "outcome": "Failed", "message": message}
        return outcome, answer._replace(refusal="Rejected")
    return {"name": hooks.ON_BEFORE_TRIGGER, "outcome": "Succeeded"}, None


def undeclared(definition: TaskDefinition, me: Environment) -> list[str]:
    """Return the hook methods of the class that the resource does not declare, and that are therefore not called."""
    if me.iteration != 1:
        return []  # already reported
    return [
        method
        for hook, method in hooks.METHODS.items()
        if hook != hooks.ON_BEFORE_TRIGGER or me.attempt == 1
        if hook not in me.hooks and getattr(type(definition), method) is not getattr(TaskDefinition, method)
    ]


def may_follow(response: dict[str, Any], me: Environment, *, is_aborted: bool) -> bool:
    """Return whether the run may finish with this answer, so that this pod has to call hooks.

    In the same cases the operator writes the final phase at once. In all other cases it first waits for the container
    to end, so a pod that waited for the phase would wait until it is killed.
    """
    end = _end_after(response, me, is_aborted=is_aborted)
    return end is not None and any(hook in me.hooks for hook in hooks.due_after(*end))


def _end_after(response: dict[str, Any], me: Environment, *, is_aborted: bool) -> tuple[str, str] | None:
    """Return the phase and reason with which the run may finish; None if it continues or never began."""
    if is_aborted:
        return "Aborted", "Aborted"
    match response["status"]:
        case "done":
            return "Succeeded", "Done"
        case "aborted":
            return "Aborted", "AbortedByTask"
        case "continue":
            return ("Failed", hooks.MAX_ITERATIONS_REASON) if me.iteration >= me.max_iterations else None
        case _:
            if response.get("refusal") is not None or response.get("retryable"):
                return None
            is_final = me.is_final_attempt or response.get("retryable") is False
            return ("Failed", "TaskFailed") if is_final else None


def ended(client: ApiClient, me: Environment, deadline: Deadline) -> dict[str, Any] | None:
    """Wait until the run is finished with this pod as its last one, and return it.

    Return None if the run continues without this pod, waits for this pod to end, was deleted, or has finished with
    another pod: then that one calls the hooks, or a hook pod.

    Raises:
        ApiRefusedError: this pod may not read the run.
        ApiUnreachableError: there was no response before the deadline.
    """
    pause = _FIRST_PAUSE_SECONDS
    while True:
        run = client.read(me.namespace, names.TASK_RUNS, me.run, deadline)
        if run is None or run["metadata"]["uid"] != me.run_uid:
            return None
        status = run.get("status") or {}
        if status.get("phase") in FINISHED:
            return run if (status.get("current") or {}).get("podUID") == me.pod_uid else None
        if run["spec"].get("abort") is not None and hooks.ON_ABORT not in me.hooks:
            return None
        if due_try(status) > (me.iteration, me.attempt) or not client.pause(pause, deadline):
            return None
        pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)


def due(run: dict[str, Any], declared: tuple[str, ...], operator_protocol: int) -> list[str]:
    """Return the hooks that are due for the finished `run` and have no outcome yet, in order.

    An operator of protocol version 1 does not set hooksDue. For later versions, an absent hooksDue means no hooks: the
    definition may no longer declare the hooks that it declared when this pod was created.
    """
    status = run.get("status") or {}
    called = {outcome["name"] for outcome in status.get("hooks") or ()}
    following = status.get("hooksDue") or ()
    if operator_protocol == 1 and not following:
        following = hooks.due_after(status.get("phase"), status.get("reason"))
    return [hook for hook in following if hook in declared and hook not in called]


def superseded(run: dict[str, Any] | None, record: dict[str, Any] | None, me: Environment) -> str | None:
    """Return why this pod, which only calls hooks, must not call them; None if it may.

    Args:
        run: the current TaskRun, or None if it does not exist.
        record: the current record with this pod's name, or None if it does not exist.
        me: the environment of this pod.
    """
    if run is None or run["metadata"]["uid"] != me.run_uid:
        return f"TaskRun {me.run} is gone"
    if not due(run, me.only_hooks, me.operator_protocol):
        return f"{' and '.join(me.only_hooks)} of TaskRun {me.run} are not due"
    current = run["status"].get("current") or {}
    if current.get("podName") == me.pod_name and current.get("podUID") != me.pod_uid:
        return "another pod of this name has taken its place"
    if hooks.is_hook_pod(current.get("podName") or "") and current["try"] > me.attempt:
        return f"pod {current['podName']} has taken over"
    return "a pod of this name has run before" if record is not None else None


def _words(error: BaseException) -> str:
    try:
        return f"{type(error).__name__}: {error}"
    except Exception:  # noqa: BLE001 - __str__ of the exception fails
        return type(error).__name__
