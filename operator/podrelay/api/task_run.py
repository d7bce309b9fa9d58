"""TaskRun: one piece of work. Users write its spec, the operator alone writes its status."""

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
    TaskError,
    Timestamp,
    cel,
    extension,
)

_WORDS = "self.findAll('[A-Z]?[a-z]+|[A-Z]|[0-9]+')"
_MOST_WORDS = 12
# Word by word: of joined ones the API server cannot tell how long they are, and refuses the rule as too costly.
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
"""A rule and no pattern, because people write the id first, and a pattern cannot tell them the name."""
SecretName = Annotated[str, Field(max_length=253, pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")]
Phase = Literal["Pending", "Running", "Succeeded", "Failed", "Aborted"]

_FINISHED = (
    "has(oldSelf.status) && has(oldSelf.status.phase) && oldSelf.status.phase in ['Succeeded', 'Failed', 'Aborted']"
)


def _immutable(field: str) -> tuple[str, str]:
    return (
        f"has(self.{field}) == has(oldSelf.{field}) && (!has(self.{field}) || self.{field} == oldSelf.{field})",
        f"spec.{field} cannot be changed; create a new TaskRun",
    )


class Abort(Model):
    """The wish that the run stops."""

    message: Annotated[str, Field(max_length=1024)] | None = None
    """Why, for people; shown as the run's message."""
    cascade: bool = False
    """Abort every unfinished descendant first."""
    by: Annotated[str, Field(min_length=1, max_length=1024)] | None = None
    """Who aborts: your own user name, or absent; commands, task service and gateway fill it in. In a cascade it is who
    aborted the run that it came from."""


class TaskRunSpec(Model):
    """What is to be done. Only abort, suspend and ttlSecondsAfterFinished may change once the run exists."""

    model_config = ConfigDict(
        json_schema_extra=cel(
            ("self.definition == oldSelf.definition", "spec.definition cannot be changed; create a new TaskRun"),
            *map(_immutable, ("displayName", "input", "delaySeconds", "startAt", "parent", "secret")),
            (
                "!has(oldSelf.abort) || (has(self.abort) && self.abort == oldSelf.abort)",
                "spec.abort cannot be changed or taken back once it is set",
            ),
            ("!has(self.delaySeconds) || !has(self.startAt)", "spec.delaySeconds and spec.startAt exclude each other"),
        )
    )

    definition: DefinitionName
    """Name of the TaskDefinition in the same namespace, in kebab-case: import-products."""
    display_name: Annotated[str, Field(min_length=1, max_length=256)] | None = None
    """Name for people. Absent: the definition's title."""
    input: Payload | None = None
    """What the task is to work on: a JSON object, at most 256 KiB, better below 10 KiB."""
    delay_seconds: Annotated[int, Field(ge=0, le=limits.MAX_WAIT_SECONDS)] | None = None
    """Start this long after creation, at most 355 days."""
    start_at: Timestamp | None = None
    """Start not before this time."""
    parent: ResourceName | None = None
    """Name of the TaskRun that this one is a child of."""
    secret: SecretName | None = None
    """Name of a Secret of the same namespace, for what must not stand in the input. Its keys are files in each pod of
    the run, in the folder that $PODRELAY_SECRET_PATH names. Whoever creates the run needs the right to get it."""
    abort: Abort | None = None
    """Set it to stop the run: its pod gets SIGTERM and time to clean up, then the run is Aborted. Can be set until the
    run is finished, and cannot be taken back. For example:
    kubectl patch trun NAME --type merge -p '{"spec":{"abort":{"message":"wrong file"}}}'"""
    suspend: bool = False
    """Start no further pod while this is true; the current pod runs to its end."""
    ttl_seconds_after_finished: Annotated[int, Field(ge=0, le=315_360_000)] | None = None
    """Delete the run this long after it has finished. Absent: what its definition says."""


class CurrentPod(Model):
    """The one pod that may run user code for this run."""

    iteration: Count
    """Which iteration it runs, from 1."""
    try_: Annotated[Count, Field(alias="try")]
    """Which pod of this iteration it is, from 1."""
    pod_name: ObjectName
    """Name of the pod, and of its record."""
    pod_uid: Annotated[UID, Field(alias="podUID")]
    """UID of the pod; a record with another one is ignored."""


class RecentIteration(Model):
    """One ended try, in short."""

    iteration: Count
    """Which iteration."""
    try_: Annotated[Count, Field(alias="try")]
    """Which pod of this iteration."""
    pod_name: ObjectName
    """Name of the pod and of the record with all details."""
    answer: Literal["done", "continue", "error", "aborted", "disrupted"]
    """How it ended."""
    started_at: OwnTimestamp | None = None
    """When its container started."""
    finished_at: OwnTimestamp | None = None
    """When it ended."""
    message: Annotated[str, Field(max_length=limits.RECENT_MESSAGE_LENGTH)] | None = None
    """What it said, cut at 256 characters."""


class TaskRunStatus(Model):
    """How far the run has come. Written by the operator only."""

    phase: Phase | None = None
    """Pending, Running (once the first pod exists), then for ever one of Succeeded, Failed, Aborted."""
    reason: Reason | None = None
    """Why it is in this phase, or what it waits for, in one CamelCase word."""
    message: Message | None = None
    """The same in words, and what to do where something is wrong."""
    iterations: Count | None = None
    """How many times run() has been called."""
    max_iterations: Count | None = None
    """How many calls the definition allowed when the last pod was made."""
    attempts: Count | None = None
    """Failed tries of the current iteration."""
    disruptions: Count | None = None
    """Pods that the current iteration lost to the cluster (drain, preemption, eviction, deletion)."""
    started_at: OwnTimestamp | None = None
    """When the first pod was made."""
    finished_at: OwnTimestamp | None = None
    """When the run reached its final phase."""
    next_iteration_at: OwnTimestamp | None = None
    """When the next pod is due, while the run waits."""
    current: CurrentPod | None = None
    """The pod that works now, or worked last."""
    last_record: ObjectName | None = None
    """The TaskIteration that carries the state: what the next pod gets as its input."""
    output: Payload | None = None
    """The result, if it has at most 32 KiB."""
    output_from: ObjectName | None = None
    """The TaskIteration that holds the result, if it is larger."""
    error: TaskError | None = None
    """Why the run failed."""
    progress: Progress | None = None
    """How far the task says it has come; at most 15 seconds old."""
    queue_position: Count | None = None
    """Place in the queue of its definition while reason is Queued, from 1. It is renewed when it has halved."""
    concurrency_key: Annotated[str, Field(max_length=64)] | None = None
    """Value of the field that spec.concurrency.key of its definition names; a long one as its hash."""
    hooks_due: Annotated[list[HookName], Field(max_length=5), extension(list_type="atomic")] | None = None
    """The lifecycle hooks that follow from the end of the run, in their order; fixed at its end."""
    hooks: HookOutcomes | None = None
    """How the lifecycle hooks ended."""
    recent_iterations: (
        Annotated[list[RecentIteration], Field(max_length=limits.RECENT_ITERATIONS), extension(list_type="atomic")]
        | None
    ) = None
    """The newest 10 ended tries, newest first."""
    observed_generation: Annotated[int, Field(ge=-1)] | None = None
    """The metadata.generation that this status answers; -1 until the operator has seen the run."""
    conditions: Conditions | None = None
    """Succeeded (Unknown until finished), Reconciling, Stalled, and from the end on Finished, however the run ended."""


class TaskRun(Model):
    """A TaskRun is one piece of background work. It runs in one pod after another: an iteration that answers continue
    hands its state to the next pod, until one answers done, error or aborted.
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
                "because names of pods are made from it",
            ),
            (
                f"!({_FINISHED}) || (has(self.status) && has(self.status.phase) "
                "&& self.status.phase == oldSelf.status.phase)",
                "status.phase cannot change any more: the run is finished",
            ),
            (
                f"!has(self.spec.abort) || has(oldSelf.spec.abort) || !({_FINISHED})",
                "spec.abort cannot be set: the run is finished already",
            ),
        )
    )

    spec: TaskRunSpec
    """What is to be done."""
    status: TaskRunStatus | None = None
    """How far the run has come. Written by the operator only."""
