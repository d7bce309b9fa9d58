"""Rules about objects that the cache, the planner and the executor share. Pure functions."""

import hashlib
import json
from datetime import datetime, timedelta
from typing import Final

from podrelay.api import names
from podrelay.api.phases import FINISHED
from podrelay.operator.objects.definitions import TaskDefinition
from podrelay.operator.objects.runs import TaskRun, TaskRunStatus
from podrelay.operator.pods import Pod

QUEUED: Final = "Queued"
WAITING_FOR_SIGNAL: Final = "WaitingForSignal"
DEFINITION_NOT_FOUND: Final = "DefinitionNotFound"
INVALID_INPUT_SCHEMA: Final = "InvalidInputSchema"
OVERRIDES_NOT_ALLOWED: Final = "OverridesNotAllowed"
POD_UNCERTAIN: Final = "PodUncertain"
_NOT_ADMITTED: Final = frozenset(
    {
        None,
        names.REASON_NOT_SEEN,
        DEFINITION_NOT_FOUND,
        INVALID_INPUT_SCHEMA,
        OVERRIDES_NOT_ALLOWED,
        POD_UNCERTAIN,
        "Restored",
        "Importing",
        "Imported",
        "ParentDeleted",
    }
)
"""The reasons of runs whose input has not been checked yet; with any other reason, it is not read again."""


def is_stalled(status: TaskRunStatus) -> bool:
    """Return whether the run cannot continue at present, according to its status."""
    condition = status.condition("Stalled")
    return condition is not None and condition.status == "True"


def reports_by_message(definition: TaskDefinition | None) -> bool:
    """Return whether pods of this definition report by termination message; false if it does not exist."""
    return definition is not None and definition.spec.reporting == names.REPORTING_TERMINATION_MESSAGE


def is_new(status: TaskRunStatus) -> bool:
    """Return whether the input of the run has not been checked yet."""
    has_begun = status.last_record or status.current or status.attempts or status.disruptions
    return not has_begun and status.reason in _NOT_ADMITTED


def due_pod_name(run: TaskRun) -> str:
    """Return the name of the pod that is due by the status of a run."""
    return names.pod_name(run.metadata.name, *due_try(run.status))


def due_try(status: TaskRunStatus) -> tuple[int, int]:
    """Return the iteration and the attempt that are due by the status of a run, both from 1."""
    return names.iteration_of(status.last_record or "") + 1, 1 + status.attempts + status.disruptions


def is_named(status: TaskRunStatus, pod: Pod) -> bool:
    """Return whether a status names this pod as the current one."""
    return status.current is not None and status.current.pod_uid == pod.metadata.uid


def waits_for_signal(status: TaskRunStatus, signal: str) -> bool:
    """Return whether a run waits for the signal of this name, as its status shows."""
    return status.waiting_for is not None and signal in status.waiting_for.signals


def hooks_follow(status: TaskRunStatus | None) -> bool:
    """Return whether `status` is final, and hooks are still pending."""
    return status is not None and bool(pending_hooks(status))


def pending_hooks(status: TaskRunStatus) -> tuple[str, ...]:
    """Return the hooks of a finished run whose outcome is not known yet."""
    if status.phase not in FINISHED:
        return ()
    known = {outcome.name for outcome in status.hooks}
    return tuple(hook for hook in status.hooks_due if hook not in known)


def start_of(run: TaskRun) -> datetime | None:
    """Return the earliest start of a run by its spec; None if that is its creation."""
    if run.spec.delay_seconds:
        return run.metadata.creation_timestamp + timedelta(seconds=run.spec.delay_seconds)
    return run.spec.start_at


def own_ttl_seconds(run: TaskRun, definition: TaskDefinition | None) -> int | None:
    """Return for how long a finished run is kept according to its spec or its definition; None: neither sets it."""
    if run.spec.ttl_seconds_after_finished is not None or definition is None:
        return run.spec.ttl_seconds_after_finished
    return definition.spec.ttl_seconds_after_finished


def template_hash(definition: TaskDefinition) -> str:
    """Return a hash that identifies the template of a definition: 16 hexadecimal digits."""
    canonical = json.dumps(definition.spec.template, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode(errors="surrogatepass")).hexdigest()[:16]
