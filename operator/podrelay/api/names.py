"""Every name that two parts of Podrelay have to agree on. Standard library only: the runner imports it.

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

# Labels, on pods and records alike; on runs the second one, where commands, task service, gateway or tasks make them.
LABEL_RUN: Final = f"{GROUP}/run"
LABEL_DEFINITION: Final = f"{GROUP}/definition"
LABEL_ITERATION: Final = f"{GROUP}/iteration"
LABEL_TRY: Final = f"{GROUP}/try"

# Annotations of pods: what the planner has to know of a pod although its definition may have changed or gone since.
ANNOTATION_ITERATION_TIMEOUT: Final = f"{GROUP}/iteration-timeout-seconds"
ANNOTATION_PENDING_TIMEOUT: Final = f"{GROUP}/pending-timeout-seconds"
ANNOTATION_NODE_LOST_TIMEOUT: Final = f"{GROUP}/node-lost-timeout-seconds"
ANNOTATION_HEARTBEAT_TIMEOUT: Final = f"{GROUP}/heartbeat-timeout-seconds"
ANNOTATION_POD_CLEANUP: Final = f"{GROUP}/pod-cleanup"
ANNOTATION_CONTAINER: Final = f"{GROUP}/container"
ANNOTATION_ENDING_SINCE: Final = f"{GROUP}/ending-since"
ANNOTATION_ENDING_REASON: Final = f"{GROUP}/ending-reason"
ANNOTATION_REPORTING: Final = f"{GROUP}/reporting"
ANNOTATION_TEMPLATE_HASH: Final = f"{GROUP}/template-hash"
ANNOTATION_HOOKS: Final = f"{GROUP}/hooks"
# Annotation of a record whose response the operator wrote for a pod that died: PodFailure or Timeout.
ANNOTATION_CAUSE: Final = f"{GROUP}/cause"
REASON_NOT_SEEN: Final = "NotSeen"
"""Reason in the status that the API server gives to a new run."""
# Annotations of TaskRuns.
ANNOTATION_BEGAN: Final = f"{GROUP}/began"
"""When the run's first pod was made, RFC 3339. Written by the operator a minute later, for runs that go on as long."""
ANNOTATION_ENDED: Final = f"{GROUP}/ended"
"""The final phase of a run. Written by the operator a minute after the end, for runs that are kept as long."""
ANNOTATION_ORIGIN: Final = f"{GROUP}/origin"
"""NAME/UID of the run in whose place a restored one has come: names of children follow from that UID."""
ANNOTATION_IMPORTED: Final = f"{GROUP}/imported"
"""When what `podrelay import` restored was exported, RFC 3339; INCOMPLETE until all of the run is there."""
IMPORT_INCOMPLETE: Final = "incomplete"
ANNOTATION_LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"
"""What `kubectl apply` was given, with the status of what had been read out of a cluster."""
LABEL_VELERO_RESTORE: Final = "velero.io/restore-name"
"""Velero labels whatever it restores."""
LABEL_VELERO_EXCLUDE: Final = "velero.io/exclude-from-backup"
ANNOTATION_PARENT_ITERATION: Final = f"{GROUP}/parent-iteration"
"""Of a child: the iteration of its parent that started it."""
ANNOTATION_CREATED_BY: Final = f"{GROUP}/created-by"
"""Who created a run or a definition; on a pod, who created its run, or the run that this one descends from."""
ANNOTATION_CHANGED_BY: Final = f"{GROUP}/changed-by"
"""Of a definition: who changed its spec last."""
ANNOTATION_WRITTEN_BY: Final = f"{GROUP}/definition-written-by"
"""Of a pod: who wrote its definition as it was then."""
ANNOTATION_RERUN_OF: Final = f"{GROUP}/rerun-of"

TASK_CONTAINER: Final = "task"
"""The container that does the work; the only container of a template may have another name."""

RUNNER_SERVICE_ACCOUNT: Final = "podrelay-runner"
"""The service account of task pods whose template names none."""

EXIT_SUPERSEDED: Final = 75
"""Exit code of a runner that must not run user code (EX_TEMPFAIL of sysexits.h): it records nothing."""

SECRET_VOLUME: Final = "podrelay-secret"  # noqa: S105 - a name
SECRET_PATH: Final = "/var/run/secrets/podrelay.dev/run"  # noqa: S105 - a name

TERMINATION_MESSAGE_PATH: Final = "/dev/termination-log"

REPORTING_API: Final = "API"
REPORTING_TERMINATION_MESSAGE: Final = "TerminationMessage"

ANSWER_FINALIZER: Final = f"{GROUP}/answer"
"""Finalizer of every pod of a run: it keeps the pod until the operator has stored what became of it."""

CLAIM_GATE: Final = f"{GROUP}/claim"
"""Scheduling gate of pods that report by termination message: they are let go once the status names their UID."""

# Environment of the task container, set by the operator. Runners of older versions need what they knew: a variable is
# taken away only with podrelay.api.protocol.OLDEST_RUNNER.
ENV_PROTOCOL: Final = "PODRELAY_PROTOCOL"
"""The operator's version of the protocol; absent where that is 1."""
ENV_NAMESPACE: Final = "PODRELAY_NAMESPACE"
ENV_RUN: Final = "PODRELAY_RUN"
ENV_RUN_UID: Final = "PODRELAY_RUN_UID"
ENV_ORIGIN_UID: Final = "PODRELAY_ORIGIN_UID"
"""UID that the run had before it was restored from a backup; absent for all others."""
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
ENV_HEARTBEAT_TIMEOUT: Final = "PODRELAY_HEARTBEAT_TIMEOUT_SECONDS"
"""Absent where a task need give no sign of life."""
ENV_STATE: Final = "PODRELAY_STATE"
"""Name of the record whose response carries the state, empty for the first iteration."""
ENV_CHECKPOINT: Final = "PODRELAY_CHECKPOINT"
"""Name of the record of an earlier try of this iteration whose checkpoint is where this try starts, else empty."""
ENV_FINAL_ATTEMPT: Final = "PODRELAY_FINAL_ATTEMPT"
ENV_HOOKS: Final = "PODRELAY_HOOKS"
"""The hooks that the definition declares, with commas; without onBeforeTrigger where that has been called already."""
ENV_HOOK: Final = "PODRELAY_HOOK"
"""The hooks that this pod is to call, with commas, if it is there for that only."""
ENV_RECORD_LOGS: Final = "PODRELAY_RECORD_LOGS"
ENV_SECRET_PATH: Final = "PODRELAY_SECRET_PATH"  # noqa: S105 - a name
"""Folder with a file for each key of the Secret that spec.secret names; absent where it names none."""
ENV_INPUT: Final = "PODRELAY_INPUT"
"""The input as JSON; only with reporting TerminationMessage."""

CAMEL_CASE_ID: Final = r"^[a-z]+([A-Z][a-z]+|[A-Z]?[0-9]+)*[A-Z]?$"
"""Ids that equal their own lodash.camelCase(), which is what Webiny asks of a definition's id."""

_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]|[0-9]+")


def is_camel_case(definition_id: str) -> bool:
    """Tell whether `definition_id` may be the id of a TaskDefinition, for example `importProducts`."""
    return re.fullmatch(CAMEL_CASE_ID, definition_id) is not None


def definition_name(definition_id: str) -> str:
    """Return the resource name for a definition's id: `importProducts` -> `import-products`.

    A name that is in kebab-case already comes back unchanged, so that callers may take both spellings.
    """
    if "-" in definition_id:
        return definition_id
    return "-".join(word.lower() for word in _WORD.findall(definition_id))


def definition_id(name: str) -> str:
    """Return the id that a definition of this resource name has: `import-products` -> `importProducts`.

    An id comes back unchanged, so that callers may take both spellings.
    """
    first, *others = name.split("-")
    return first + "".join(word[:1].upper() + word[1:] for word in others)


def pod_name(run: str, iteration: int, attempt: int) -> str:
    """Return the name of the pod, and of its record, for one try of an iteration.

    The last segment has no hyphen, so `run_of()` gets the run back and no two names collide.

    Args:
        run: name of the TaskRun, at most 50 characters.
        iteration: 1 for the first call of run().
        attempt: 1 for the first try of this iteration, then 1 + attempts + disruptions.
    """
    return f"{run}-i{iteration}" if attempt == 1 else f"{run}-i{iteration}t{attempt}"


_ITERATION = re.compile(r"-i(\d+)(?:t\d+)?$")


def origin(run: str, uid: str) -> str:
    """Return the value of ANNOTATION_ORIGIN for a run: a copy of it under another name is no restored one."""
    return f"{run}/{uid}"


def iteration_of(record: str) -> int:
    """Return the iteration that a record of this name is of; 0 for the record of a hook.

    >>> iteration_of("shop-i12t3")
    12
    """
    match = _ITERATION.search(record)
    return int(match[1]) if match else 0


def run_of(pod: str) -> str:
    """Return the name of the TaskRun that a pod or record of this name belongs to."""
    return pod.rsplit("-", 1)[0]
