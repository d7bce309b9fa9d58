"""Names that several parts of Podrelay share. Standard library only, because the runner imports it.

Custom resources are always addressed by group, version and plural, because other projects own kinds of the same name
(Tekton has a `TaskRun` with plural `taskruns`).
"""

import re
from typing import Final

GROUP: Final = "podrelay.dev"
VERSION: Final = "v1alpha1"
API_VERSION: Final = f"{GROUP}/{VERSION}"

TASK_DEFINITIONS: Final = "taskdefinitions"
TASK_RUNS: Final = "taskruns"
TASK_ITERATIONS: Final = "taskiterations"
TASK_SCHEDULES: Final = "taskschedules"
TASK_SIGNALS: Final = "tasksignals"

# Labels of pods and records. Runs that are created by commands, the task service, the gateway or tasks have
# LABEL_DEFINITION.
LABEL_RUN: Final = f"{GROUP}/run"
LABEL_DEFINITION: Final = f"{GROUP}/definition"
LABEL_ITERATION: Final = f"{GROUP}/iteration"
LABEL_TRY: Final = f"{GROUP}/try"
LABEL_SCHEDULE: Final = f"{GROUP}/schedule"
"""On a run: the TaskSchedule that started it."""

# Annotations of pods, for the planner: the pod's definition may have been changed or deleted since.
ANNOTATION_ITERATION_TIMEOUT: Final = f"{GROUP}/iteration-timeout-seconds"
ANNOTATION_PENDING_TIMEOUT: Final = f"{GROUP}/pending-timeout-seconds"
ANNOTATION_NODE_LOST_TIMEOUT: Final = f"{GROUP}/node-lost-timeout-seconds"
ANNOTATION_HEARTBEAT_TIMEOUT: Final = f"{GROUP}/heartbeat-timeout-seconds"
ANNOTATION_POD_CLEANUP: Final = f"{GROUP}/pod-cleanup"
ANNOTATION_CONTAINER: Final = f"{GROUP}/container"
ANNOTATION_ENDING_SINCE: Final = f"{GROUP}/ending-since"
ANNOTATION_ENDING_REASON: Final = f"{GROUP}/ending-reason"
ANNOTATION_REPORTING: Final = f"{GROUP}/reporting"
ANNOTATION_GOOD_UNTIL: Final = f"{GROUP}/good-until"
"""Until when a pod may be created, by the API server's clock; the policy of this name refuses it later."""
FENCE_POLICY: Final = "podrelay-fence"
ANNOTATION_TEMPLATE_HASH: Final = f"{GROUP}/template-hash"
ANNOTATION_AFTER: Final = f"{GROUP}/after"
"""On a pod that was created ahead: the pod that must end before this one runs user code."""
ANNOTATION_SIGNALS: Final = f"{GROUP}/signals"
"""On a pod whose iteration was preceded by a wait for signals: the names of the TaskSignals that it is given, separated
by commas; empty if there are none. They never change."""
# Annotation of a record whose response the operator wrote because the pod died: PodFailure or Timeout.
ANNOTATION_CAUSE: Final = f"{GROUP}/cause"
REASON_NOT_SEEN: Final = "NotSeen"
"""Reason in the default status that the API server sets on a new run."""
# Annotations of TaskRuns.
ANNOTATION_BEGAN: Final = f"{GROUP}/began"
"""When the run's first pod was created, RFC 3339. Written by the operator a minute later if the run still runs."""
ANNOTATION_ENDED: Final = f"{GROUP}/ended"
"""The final phase of a run. Written by the operator a minute after the run finished if it still exists."""
ANNOTATION_ORIGIN: Final = f"{GROUP}/origin"
"""NAME/UID of the run, or TaskSchedule, that this restored one replaces; the names of a run's children are derived from
that UID."""
ANNOTATION_IMPORTED: Final = f"{GROUP}/imported"
"""When the data that `podrelay import` restored was exported, RFC 3339; IMPORT_INCOMPLETE until the run, or the
TaskSchedule, is complete."""
IMPORT_INCOMPLETE: Final = "incomplete"
ANNOTATION_RESTORED_BY: Final = f"{GROUP}/restored-by"
"""On a TaskSignal: who restored it with `podrelay import`. A policy verifies it, and lets them name the sender."""
ANNOTATION_SENT_AT: Final = f"{GROUP}/sent-at"
"""On a restored TaskSignal: when it was sent, RFC 3339."""
ANNOTATION_LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"
"""The manifest given to `kubectl apply`; it has a status if the manifest was read from a cluster."""
LABEL_VELERO_RESTORE: Final = "velero.io/restore-name"
"""Velero sets this label on every object that it restores."""
LABEL_VELERO_EXCLUDE: Final = "velero.io/exclude-from-backup"
ANNOTATION_PARENT_ITERATION: Final = f"{GROUP}/parent-iteration"
"""On a child: the iteration of its parent that started it."""
ANNOTATION_CREATED_BY: Final = f"{GROUP}/created-by"
"""Who created a run or a definition. On a pod: who created its run, or the nearest ancestor that has the annotation."""
ANNOTATION_CHANGED_BY: Final = f"{GROUP}/changed-by"
"""On a definition: who last changed its spec."""
ANNOTATION_WRITTEN_BY: Final = f"{GROUP}/definition-written-by"
"""On a pod: who wrote its definition in the version that the pod was made from."""
ANNOTATION_RERUN_OF: Final = f"{GROUP}/rerun-of"

TASK_CONTAINER: Final = "task"
"""The container that does the work. If a template has only one container, it may have another name."""

RUNNER_SERVICE_ACCOUNT: Final = "podrelay-runner"
"""The service account of task pods whose template does not name one."""

EXIT_SUPERSEDED: Final = 75
"""Exit code of a runner that must not run user code (EX_TEMPFAIL of sysexits.h); it writes no record."""

SECRET_VOLUME: Final = "podrelay-secret"  # noqa: S105 - a name
SECRET_PATH: Final = "/var/run/secrets/podrelay.dev/run"  # noqa: S105 - a name

TERMINATION_MESSAGE_PATH: Final = "/dev/termination-log"

REPORTING_API: Final = "API"
REPORTING_TERMINATION_MESSAGE: Final = "TerminationMessage"

ANSWER_FINALIZER: Final = f"{GROUP}/answer"
"""Finalizer of every pod of a run: it keeps the pod until the operator has stored the pod's outcome."""

CLAIM_GATE: Final = f"{GROUP}/claim"
"""Scheduling gate of pods that report by termination message; it is removed once the status names the pod's UID."""

# Environment of the task container, set by the operator. Older runners need the variables of their version: remove
# one only when podrelay.api.protocol.OLDEST_RUNNER is raised.
ENV_PROTOCOL: Final = "PODRELAY_PROTOCOL"
"""The operator's version of the protocol; absent if it is 1."""
ENV_NAMESPACE: Final = "PODRELAY_NAMESPACE"
ENV_RUN: Final = "PODRELAY_RUN"
ENV_RUN_UID: Final = "PODRELAY_RUN_UID"
ENV_ORIGIN_UID: Final = "PODRELAY_ORIGIN_UID"
"""UID that the run had before it was restored from a backup; absent for runs that were not restored."""
ENV_DEFINITION: Final = "PODRELAY_DEFINITION"
ENV_ITERATION: Final = "PODRELAY_ITERATION"
ENV_TRY: Final = "PODRELAY_TRY"
ENV_MAX_ITERATIONS: Final = "PODRELAY_MAX_ITERATIONS"
ENV_POD_NAME: Final = "PODRELAY_POD_NAME"
ENV_POD_UID: Final = "PODRELAY_POD_UID"
ENV_NODE_NAME: Final = "PODRELAY_NODE_NAME"
ENV_IMAGE: Final = "PODRELAY_IMAGE"
ENV_ITERATION_TIMEOUT: Final = "PODRELAY_ITERATION_TIMEOUT_SECONDS"
ENV_GRACE_PERIOD: Final = "PODRELAY_GRACE_PERIOD_SECONDS"
ENV_AFTER: Final = "PODRELAY_AFTER"
"""Only of a pod that was created ahead: the pod that must end before this one runs user code."""
ENV_AHEAD_GRACE_PERIOD: Final = "PODRELAY_AHEAD_GRACE_PERIOD_SECONDS"
"""Replaces ENV_GRACE_PERIOD in such a pod, so that a runner that is too old to wait does not start at all."""
ENV_STANDBY: Final = "PODRELAY_STANDBY"
"""Whether such a pod imports the task while it waits."""
ENV_HEARTBEAT_TIMEOUT: Final = "PODRELAY_HEARTBEAT_TIMEOUT_SECONDS"
"""Absent if the definition requires no heartbeat."""
ENV_STATE: Final = "PODRELAY_STATE"
"""Name of the record whose response contains the state; empty for the first iteration."""
ENV_CHECKPOINT: Final = "PODRELAY_CHECKPOINT"
"""Name of the record of an earlier attempt of this iteration whose checkpoint this attempt starts from; else empty."""
ENV_FINAL_ATTEMPT: Final = "PODRELAY_FINAL_ATTEMPT"
ENV_HOOKS: Final = "PODRELAY_HOOKS"
"""The hooks that the definition declares, separated by commas; without onBeforeTrigger if it was called already."""
ENV_HOOK: Final = "PODRELAY_HOOK"
"""The hooks that this pod must call, separated by commas, if it only calls hooks."""
ENV_RECORD_LOGS: Final = "PODRELAY_RECORD_LOGS"
ENV_SECRET_PATH: Final = "PODRELAY_SECRET_PATH"  # noqa: S105 - a name
"""Directory with a file for each key of the Secret that spec.secret names; absent without spec.secret."""
ENV_SCHEDULE: Final = "PODRELAY_SCHEDULE"
"""Name of the TaskSchedule that started the run; this and the next three are absent without one."""
ENV_SCHEDULED_FOR: Final = "PODRELAY_SCHEDULED_FOR"
"""The time of the schedule that the run is for, RFC 3339, UTC."""
ENV_SCHEDULED_PREVIOUS: Final = "PODRELAY_SCHEDULED_PREVIOUS"
"""The time of the schedule before it; absent if there is none."""
ENV_SCHEDULED_NEXT: Final = "PODRELAY_SCHEDULED_NEXT"
"""The time of the schedule after it; absent if there is none."""
ENV_INPUT: Final = "PODRELAY_INPUT"
"""The input as JSON; only with reporting TerminationMessage."""

ENV_SIGNALS: Final = "PODRELAY_SIGNALS"
"""The signals that the iteration is given: with reporting API the names of the TaskSignals, separated by commas, with
TerminationMessage a list of objects as JSON. Absent unless the iteration before it waited for signals."""
ENV_WOKEN_BY: Final = "PODRELAY_WOKEN_BY"
"""What ended the wait for signals: Signals, Approved, Rejected, Timeout or Children; absent like ENV_SIGNALS."""

CAMEL_CASE_ID: Final = r"^[a-z]+([A-Z][a-z]+|[A-Z]?[0-9]+)*[A-Z]?$"
"""Ids that lodash.camelCase() does not change, which is what Webiny requires of a definition's id."""

SIGNAL_NAME: Final = r"^[A-Za-z]([A-Za-z0-9_.-]*[A-Za-z0-9])?$"
_SIGNAL_NAME_LENGTH: Final = 63

_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]|[0-9]+")


def is_camel_case(definition_id: str) -> bool:
    """Return whether `definition_id` is valid as the id of a TaskDefinition, for example `importProducts`."""
    return re.fullmatch(CAMEL_CASE_ID, definition_id) is not None


def is_signal(name: str) -> bool:
    """Return whether a signal can have this name, for example `payment`."""
    return len(name) <= _SIGNAL_NAME_LENGTH and re.fullmatch(SIGNAL_NAME, name) is not None


def definition_name(definition_id: str) -> str:
    """Return the resource name for a definition's id: `importProducts` -> `import-products`.

    A name in kebab-case is returned unchanged, so that callers may accept both spellings.
    """
    if "-" in definition_id:
        return definition_id
    return "-".join(word.lower() for word in _WORD.findall(definition_id))


def definition_id(name: str) -> str:
    """Return the id of the definition with this resource name: `import-products` -> `importProducts`.

    An id is returned unchanged, so that callers may accept both spellings.
    """
    first, *others = name.split("-")
    return first + "".join(word[:1].upper() + word[1:] for word in others)


def pod_name(run: str, iteration: int, attempt: int) -> str:
    """Return the name of the pod, and of its record, for one attempt of an iteration.

    The last segment has no hyphen, so `run_of()` can recover the run's name and no two names collide.

    Args:
        run: name of the TaskRun, at most 50 characters.
        iteration: 1 for the first call of run().
        attempt: 1 for the first attempt of this iteration, then 1 + attempts + disruptions.
    """
    return f"{run}-i{iteration}" if attempt == 1 else f"{run}-i{iteration}t{attempt}"


_ITERATION = re.compile(r"-i(\d+)(?:t\d+)?$")


def origin(run: str, uid: str) -> str:
    """Return the value of ANNOTATION_ORIGIN for a run. It has the name, so that a copy under another name is not taken
    for a restored run.
    """
    return f"{run}/{uid}"


def iteration_of(record: str) -> int:
    """Return the iteration of the record with this name; 0 for the record of a hook.

    >>> iteration_of("shop-i12t3")
    12
    """
    match = _ITERATION.search(record)
    return int(match[1]) if match else 0


def run_of(pod: str) -> str:
    """Return the name of the TaskRun that a pod or record of this name belongs to."""
    return pod.rsplit("-", 1)[0]
