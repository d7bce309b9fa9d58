"""TaskIteration: the record of one try of an iteration, written by the pod that ran it.

The fields stand at the top, as in Event and Lease: nobody reconciles a record, so it has no spec and status.
"""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from podrelay.api import limits
from podrelay.api.common import (
    UID,
    Count,
    HookName,
    HookOutcomes,
    Message,
    Model,
    ObjectName,
    Payload,
    Progress,
    ResourceName,
    TaskError,
    Timestamp,
    cel,
    extension,
)

Answer = Literal["done", "continue", "error", "aborted"]


class WaitForChildren(Model):
    """What the run waits for before its next iteration."""

    definition: ResourceName | None = None
    """Only children of this definition. Absent: all."""


class IterationResponse(Model):
    """What one call of run() answered. The first one that is stored is the only one."""

    status: Answer
    """done, continue, error or aborted."""
    message: Message | None = None
    """The task's words."""
    output: Payload | None = None
    """The result so far."""
    input: Payload | None = None
    """For continue: the whole input of the next iteration, already merged over the one before."""
    wait_seconds: Annotated[float, Field(ge=0, le=limits.MAX_WAIT_SECONDS)] | None = None
    """For continue: wait this long after finishedAt."""
    wait_until: Timestamp | None = None
    """For continue: wait until then."""
    wait_for_children: WaitForChildren | None = None
    """For continue: wait until all children have finished."""
    error: TaskError | None = None
    """For error: why."""
    retryable: bool | None = None
    """For error: false means that another try would be of no use, true asks for one whatever spec.retry.on says."""
    retry_after_seconds: Annotated[float, Field(ge=0, le=limits.MAX_WAIT_SECONDS)] | None = None
    """For error: ask for another try after this time, whatever spec.retry.on says; spec.retry.limit still holds."""
    refusal: Literal["InvalidInput", "Rejected"] | None = None
    """For error: run() was not called, because the input is invalid, or because onBeforeTrigger refused the run."""


class Checkpoint(Model):
    """State that a task saved while it ran; a retry of the iteration starts from it."""

    input: Payload | None = None
    """The input as the task updated it."""
    output: Payload | None = None
    """The output so far."""


class LogItem(Model):
    """One structured log line."""

    time: Timestamp
    """When."""
    type: Literal["info", "error"]
    """How grave."""
    message: Annotated[str, Field(max_length=8192)]
    """What."""
    data: Payload | None = None
    """More about it."""
    error: Payload | None = None
    """The exception, for errors."""


class Console(Model):
    """The end of what the pod printed on stdout and stderr, as plain text."""

    text: Annotated[str, Field(max_length=limits.CONSOLE_BYTES)] = ""
    """The last 16 KiB, from the beginning of a line; escape sequences and overwritten lines are left out."""
    dropped_bytes: Count | None = None
    """How much was printed before."""
    problem: Annotated[str, Field(max_length=limits.RECENT_MESSAGE_LENGTH)] | None = None
    """Why there is no text, where it could not be had."""


class TaskIteration(Model):
    """A TaskIteration is the record of one try: which pod ran it, what it answered, what it logged. Its name is the
    name of its pod. It is written by that pod alone; the operator writes it on the pod's behalf where the pod died.
    """

    model_config = ConfigDict(
        json_schema_extra=cel(
            (
                "!has(oldSelf.response) || (has(self.response) && self.response == oldSelf.response)",
                "response cannot be changed: the first stored response wins",
            ),
            ("self.podUID == oldSelf.podUID", "podUID cannot be changed: a record belongs to one pod"),
            (
                "self.runName == oldSelf.runName && self.iteration == oldSelf.iteration && self.try == oldSelf.try"
                " && self.podName == oldSelf.podName && has(self.hook) == has(oldSelf.hook)"
                " && (!has(self.hook) || self.hook == oldSelf.hook)",
                "runName, iteration, try, hook and podName cannot be changed",
            ),
            ("self.metadata.name == self.podName", "metadata.name must be podName"),
            (
                "self.metadata.name.startsWith(self.runName + '-')",
                "metadata.name must begin with the name of its TaskRun",
            ),
            (
                "!has(self.checkpoint) || !has(self.response) || self.response.status == 'error'",
                "checkpoint must be dropped once there is a response that is not an error",
            ),
        )
    )

    run_name: ResourceName
    """Name of the TaskRun."""
    iteration: Count
    """Which iteration, from 1; 0 for the record of a pod that runs lifecycle hooks only."""
    try_: Annotated[Count, Field(alias="try")]
    """Which pod of this iteration, from 1."""
    hook: HookName | None = None
    """Set where the pod runs a lifecycle hook only."""
    pod_name: ObjectName
    """Name of the pod."""
    pod_uid: Annotated[UID, Field(alias="podUID")]
    """UID of the pod."""
    protocol: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    """Version of the protocol between operator and runner that the pod speaks. Absent: 1, from before it was told."""
    node_name: ObjectName | None = None
    """Node that the pod ran on."""
    image: Annotated[str, Field(max_length=limits.IMAGE_LENGTH)] | None = None
    """Image of the container that did the work."""
    started_at: Timestamp | None = None
    """When the runner began."""
    finished_at: Timestamp | None = None
    """When the response was written."""
    response: IterationResponse | None = None
    """What run() answered. Cannot be changed."""
    checkpoint: Checkpoint | None = None
    """State saved in the middle of an iteration."""
    progress: Progress | None = None
    """How far the task says it has come."""
    heartbeat_at: Timestamp | None = None
    """The task's last sign of life: progress, log line, saved state or heartbeat."""
    logs: Annotated[list[LogItem], Field(max_length=200), extension(list_type="atomic")] | None = None
    """The newest structured log lines: at most 200 or 64 KiB."""
    dropped_logs: Count | None = None
    """How many older lines were dropped."""
    console: Console | None = None
    """What the pod printed besides its log lines."""
    hooks: HookOutcomes | None = None
    """How the lifecycle hooks ended that ran in this pod."""
