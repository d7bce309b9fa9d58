"""TaskRun: one piece of work. Users write its spec, only the operator writes its status."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, ConfigDict, Field

from podrelay.api import limits, names
from podrelay.api.common import (
    UID,
    Conditions,
    Count,
    HookName,
    HookOutcomes,
    Message,
    Model,
    ObjectName,
    OwnTimestamp,
    Payload,
    Progress,
    Reason,
    ResourceName,
    SignalName,
    TaskError,
    Timestamp,
    cel,
    extension,
)
from podrelay.api.overrides import Overrides

_WORDS = "self.findAll('[A-Z]?[a-z]+|[A-Z]|[0-9]+')"
_MOST_WORDS = 12
# Word by word: the API server cannot estimate the length of joined words and rejects that rule as too costly.
_IN_KEBAB_CASE = " + ".join(
    [f"{_WORDS}[0].lowerAscii()"]
    + [f"(size({_WORDS}) > {word} ? '-' + {_WORDS}[{word}].lowerAscii() : '')" for word in range(1, _MOST_WORDS)]
)
_NAME_OF_DEFINITION = {
    "x-kubernetes-validations": [
        {
            "rule": "self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')",
            "message": "must be the name of a TaskDefinition, in kebab-case such as import-products",
            "messageExpression": f"self.matches('^[A-Za-z][A-Za-z0-9]*$') && size({_WORDS}) <= {_MOST_WORDS} ? "
            f"'must be the name of the TaskDefinition, not its id: use ' + {_IN_KEBAB_CASE} : "
            "'must be the name of a TaskDefinition, in kebab-case such as import-products'",
        }
    ]
}


def _checked_name(name: str) -> str:
    if not re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", name):
        raise ValueError("must be the name of a TaskDefinition, in kebab-case such as import-products")
    return name


DefinitionName = Annotated[
    str, Field(min_length=1, max_length=63, json_schema_extra=_NAME_OF_DEFINITION), AfterValidator(_checked_name)
]
"""A rule instead of a pattern: users often write the id, and the message of a pattern could not show them the name."""
SecretName = Annotated[str, Field(max_length=253, pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")]
Phase = Literal["Pending", "Running", "Succeeded", "Failed", "Aborted"]

_FINISHED = (
    "has(oldSelf.status) && has(oldSelf.status.phase) && oldSelf.status.phase in ['Succeeded', 'Failed', 'Aborted']"
)
_STARTED = f"(has(oldSelf.status) && has(oldSelf.status.startedAt)) || ({_FINISHED})"
_IS_SAME_START = " && ".join(
    f"has(self.spec.{field}) == has(oldSelf.spec.{field}) && "
    f"(!has(self.spec.{field}) || self.spec.{field} == oldSelf.spec.{field})"
    for field in ("startAt", "delaySeconds")
)


def _immutable(field: str) -> tuple[str, str]:
    return (
        f"has(self.{field}) == has(oldSelf.{field}) && (!has(self.{field}) || self.{field} == oldSelf.{field})",
        f"spec.{field} cannot be changed; create a new TaskRun",
    )


class Abort(Model):
    """Request to abort the run."""

    message: Annotated[str, Field(max_length=1024)] | None = None
    """Reason in plain text; shown as the run's message."""
    cascade: bool = False
    """Abort all unfinished descendants first."""
    by: Annotated[str, Field(min_length=1, max_length=1024)] | None = None
    """Name of the user who aborts the run. It must be your own user name, or absent; commands, task service and gateway
    set it. In a cascade, descendants get the name of the user who aborted the first run."""


class Scheduled(Model):
    """The schedule that started a run, and the time that the run is for."""

    schedule: ResourceName
    """Name of the TaskSchedule."""
    time: Timestamp
    """The time that the run is for, by the schedule. The run may have started later."""
    previous: Timestamp | None = None
    """The time before it, by the schedule."""
    next: Timestamp | None = None
    """The time after it, by the schedule."""
    backfill: Annotated[str, Field(min_length=1, max_length=63)] | None = None
    """Name of the backfill that started the run."""
    manual: bool = False
    """Whether a user started the run, outside the times of the schedule."""


class TaskRunSpec(Model):
    """The work to do. After creation, only abort, suspend and ttlSecondsAfterFinished can be changed, and delaySeconds
    and startAt until the run has started.
    """

    model_config = ConfigDict(
        json_schema_extra=cel(
            ("self.definition == oldSelf.definition", "spec.definition cannot be changed; create a new TaskRun"),
            *map(_immutable, ("displayName", "input", "parent", "secret", "overrides", "scheduled")),
            (
                "!has(oldSelf.abort) || (has(self.abort) && self.abort == oldSelf.abort)",
                "spec.abort cannot be changed or taken back once it is set",
            ),
            (
                "!has(self.delaySeconds) || !has(self.startAt)",
                "spec.delaySeconds and spec.startAt are mutually exclusive",
            ),
        )
    )

    definition: DefinitionName
    """Name of the TaskDefinition in the same namespace, in kebab-case: import-products."""
    display_name: Annotated[str, Field(min_length=1, max_length=256)] | None = None
    """Human-readable name of the run. If absent, the title of the definition is shown."""
    input: Payload | None = None
    """Input of the task: a JSON object of at most 256 KiB; less than 10 KiB is recommended."""
    delay_seconds: Annotated[int, Field(ge=0, le=limits.MAX_WAIT_SECONDS)] | None = None
    """Start the run this long after its creation, at most 355 days. Can be changed until the run has started."""
    start_at: Timestamp | None = None
    """Do not start the run before this time. Can be changed until the run has started."""
    parent: ResourceName | None = None
    """Name of the TaskRun that this run is a child of."""
    secret: SecretName | None = None
    """Name of a Secret in the same namespace, for values that must not be in the input. Each pod of the run has its
    keys as files in the directory $PODRELAY_SECRET_PATH. The user who creates the run needs permission to get the
    Secret."""
    overrides: Overrides | None = None
    """Settings of the definition that are different for this run. Each must be allowed by spec.allowOverrides of the
    definition."""
    scheduled: Scheduled | None = None
    """The schedule that started the run. Set by the operator, and for runs that are triggered through a schedule."""
    abort: Abort | None = None
    """Set this to stop the run: its pod gets SIGTERM and time to clean up, then the run is Aborted. It can be set until
    the run is finished, and it cannot be revoked. For example:
    kubectl patch trun NAME --type merge -p '{"spec":{"abort":{"message":"wrong file"}}}'"""
    suspend: bool = False
    """While this is true, no further pod is started; the current pod is not stopped."""
    ttl_seconds_after_finished: Annotated[int, Field(ge=0, le=315_360_000)] | None = None
    """Time after which the finished run is deleted. If absent, the setting of its definition applies."""


class CurrentPod(Model):
    """The only pod that may run user code for this run."""

    iteration: Count
    """Number of the iteration that the pod runs, from 1."""
    try_: Annotated[Count, Field(alias="try")]
    """Number of the attempt within this iteration, from 1."""
    pod_name: ObjectName
    """Name of the pod, and of its record."""
    pod_uid: Annotated[UID, Field(alias="podUID")]
    """UID of the pod; a record with a different UID is ignored."""
    released_at: OwnTimestamp | None = None
    """When a pod that was created ahead was allowed to run the task; its timeouts count from then."""


class AwaitedSignals(Model):
    """The signals that the run waits for."""

    signals: Annotated[list[SignalName], Field(max_length=limits.SIGNAL_NAMES), extension(list_type="atomic")]
    """Names of the signals."""
    count: Count
    """How many signals, or approvals, end the wait."""
    until: OwnTimestamp
    """When the wait ends without them."""


class ApprovalDecision(Model):
    """A decision about the run."""

    signal: SignalName
    """Name of the signal."""
    decision: Literal["Approve", "Reject"]
    """The decision."""
    by: Annotated[str, Field(max_length=1024)]
    """Name of the user."""
    restored_by: Annotated[str, Field(max_length=1024)] | None = None
    """Name of the user who restored the decision from a backup, and vouches for it; absent otherwise."""
    at: OwnTimestamp
    """When the signal was created."""
    name: ObjectName
    """Name of the TaskSignal."""
    iteration: Count
    """The iteration that waited for it."""


class RecentIteration(Model):
    """Summary of one finished attempt."""

    iteration: Count
    """Number of the iteration."""
    try_: Annotated[Count, Field(alias="try")]
    """Number of the attempt within this iteration."""
    pod_name: ObjectName
    """Name of the pod, and of the record with all details."""
    answer: Literal["done", "continue", "error", "aborted", "disrupted"]
    """How the attempt ended."""
    started_at: OwnTimestamp | None = None
    """When its container started."""
    finished_at: OwnTimestamp | None = None
    """When the attempt ended."""
    message: Annotated[str, Field(max_length=limits.RECENT_MESSAGE_LENGTH)] | None = None
    """Message of the attempt, truncated to 256 characters."""


class TaskRunStatus(Model):
    """Observed state of the run. Written by the operator only."""

    phase: Phase | None = None
    """Pending, Running (once the first pod exists), or finished: Succeeded, Failed or Aborted, which never change."""
    reason: Reason | None = None
    """Why the run is in this phase, or what it waits for, in one CamelCase word."""
    message: Message | None = None
    """The reason in plain text, and how to fix a problem."""
    iterations: Count | None = None
    """Number of iterations so far."""
    max_iterations: Count | None = None
    """Maximum number of iterations; from the definition when the last pod was created."""
    attempts: Count | None = None
    """Number of failed attempts of the current iteration."""
    disruptions: Count | None = None
    """Number of pods that the current iteration lost to the cluster (drain, preemption, eviction, deletion)."""
    started_at: OwnTimestamp | None = None
    """When the first pod was created."""
    finished_at: OwnTimestamp | None = None
    """When the run reached its final phase."""
    next_iteration_at: OwnTimestamp | None = None
    """When the next pod is due, while the run waits."""
    waiting_for: AwaitedSignals | None = None
    """The signals that the run waits for, while its reason is WaitingForSignal."""
    approvals: (
        Annotated[list[ApprovalDecision], Field(max_length=limits.SIGNALS_AT_ONCE), extension(list_type="atomic")]
        | None
    ) = None
    """The decisions about the run, oldest first: who has approved or rejected, and when."""
    current: CurrentPod | None = None
    """The current pod, or the last one."""
    last_record: ObjectName | None = None
    """Name of the TaskIteration with the state that the next pod gets as its input."""
    output: Payload | None = None
    """The result of the run, if it is at most 32 KiB."""
    output_from: ObjectName | None = None
    """Name of the TaskIteration with the result of the run, if it is larger than 32 KiB."""
    error: TaskError | None = None
    """Why the run failed."""
    progress: Progress | None = None
    """Progress as reported by the task; updated at most every 15 seconds."""
    queue_position: Count | None = None
    """Position in the queue of the definition, from 1, while reason is Queued. Updated when it has halved."""
    concurrency_key: Annotated[str, Field(max_length=64)] | None = None
    """Value of the input field that spec.concurrency.key of the definition names; a long value is hashed."""
    hooks_due: Annotated[list[HookName], Field(max_length=5), extension(list_type="atomic")] | None = None
    """Lifecycle hooks to call because the run has finished, in order. Set when the run finishes, and not changed
    afterwards."""
    hooks: HookOutcomes | None = None
    """Outcomes of the lifecycle hooks."""
    recent_iterations: (
        Annotated[list[RecentIteration], Field(max_length=limits.RECENT_ITERATIONS), extension(list_type="atomic")]
        | None
    ) = None
    """The last 10 finished attempts, newest first."""
    observed_generation: Annotated[int, Field(ge=-1)] | None = None
    """The metadata.generation that was last reconciled; -1 until the operator has seen the run."""
    conditions: Conditions | None = None
    """Succeeded (Unknown until the run is finished), Reconciling and Stalled. Finished is added when the run finishes,
    and is True for every outcome."""


class TaskRun(Model):
    """A TaskRun is one piece of background work. It runs in a sequence of pods: an iteration that answers continue
    passes its state to the next pod, until one answers done, error or aborted.
    """

    born: ClassVar[Mapping[str, Any]] = {
        "observedGeneration": -1,
        "reason": names.REASON_NOT_SEEN,
        "message": "no operator has seen this run yet; podrelay doctor finds out why",
    }
    model_config = ConfigDict(
        json_schema_extra=cel(
            (
                f"size(self.metadata.name) <= {limits.RUN_NAME_LENGTH} && !self.metadata.name.contains('.')",
                f"metadata.name must be a DNS label of at most {limits.RUN_NAME_LENGTH} characters, "
                "because the names of its pods begin with it",
            ),
            (
                f"!({_FINISHED}) || (has(self.status) && has(self.status.phase) "
                "&& self.status.phase == oldSelf.status.phase)",
                "status.phase cannot be changed: the run is finished",
            ),
            (
                f"!has(self.spec.abort) || has(oldSelf.spec.abort) || !({_FINISHED})",
                "spec.abort cannot be set: the run is already finished",
            ),
            (
                f"!({_STARTED}) || ({_IS_SAME_START})",
                "spec.startAt and spec.delaySeconds cannot be changed: the run has already started or is finished",
            ),
        )
    )

    spec: TaskRunSpec
    """The work to do."""
    status: TaskRunStatus | None = None
    """Observed state of the run. Written by the operator only."""
