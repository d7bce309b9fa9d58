"""TaskIteration: the record of one attempt of an iteration, written by the pod that ran it.

The fields are at the top level: a record is not reconciled, so it has no spec and status.
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
    SignalName,
    TaskError,
    Timestamp,
    cel,
    extension,
)

Answer = Literal["done", "continue", "error", "aborted"]


class WaitForChildren(Model):
    """Children to wait for before the next iteration."""

    definition: ResourceName | None = None
    """Wait only for children of this definition. If absent, wait for all children."""


class WaitForSignal(Model):
    """Signals to wait for before the next iteration."""

    names: Annotated[list[SignalName], Field(min_length=1, max_length=limits.SIGNAL_NAMES), extension(list_type="set")]
    """Names of the signals."""
    count: Annotated[int, Field(ge=1, le=limits.SIGNALS_AT_ONCE)] = 1
    """How many signals with these names end the wait. For an approval, its definition says how many are required."""


class IterationResponse(Model):
    """The answer of one call of run(). It cannot be changed: the first stored response wins."""

    status: Answer
    """done, continue, error or aborted."""
    message: Message | None = None
    """Message of the task."""
    output: Payload | None = None
    """The result so far."""
    input: Payload | None = None
    """For continue: the complete input of the next iteration, already merged with the previous input."""
    wait_seconds: Annotated[float, Field(ge=0, le=limits.MAX_WAIT_SECONDS)] | None = None
    """For continue: wait this long after finishedAt."""
    wait_until: Timestamp | None = None
    """For continue: wait until this time."""
    wait_for_children: WaitForChildren | None = None
    """For continue: wait until all children have finished."""
    wait_for_signal: WaitForSignal | None = None
    """For continue: wait for signals. If the answer also waits for a time or for children, the first of them ends the
    wait. Without a time, it ends after 355 days."""
    signals: (
        Annotated[list[ObjectName], Field(max_length=limits.SIGNALS_AT_ONCE), extension(list_type="set")] | None
    ) = None
    """Names of the TaskSignals that this answer has consumed. An error consumes none."""
    error: TaskError | None = None
    """For error: why the iteration failed."""
    retryable: bool | None = None
    """For error: false means that a retry would not help; true requests a retry regardless of spec.retry.on."""
    retry_after_seconds: Annotated[float, Field(ge=0, le=limits.MAX_WAIT_SECONDS)] | None = None
    """For error: request a retry after this time, regardless of spec.retry.on; spec.retry.limit still applies."""
    refusal: Literal["InvalidInput", "Rejected"] | None = None
    """For error: why run() was not called: the input is invalid, or onBeforeTrigger rejected the run."""


class Checkpoint(Model):
    """State that the task saved during the iteration; the next attempt starts from it."""

    input: Payload | None = None
    """The input as updated by the task."""
    output: Payload | None = None
    """The output so far."""


class LogItem(Model):
    """One structured log line."""

    time: Timestamp
    """Time of the log line."""
    type: Literal["info", "error"]
    """Level of the log line."""
    message: Annotated[str, Field(max_length=8192)]
    """Message of the log line."""
    data: Payload | None = None
    """Additional data."""
    error: Payload | None = None
    """The exception, if the type is error."""


class Console(Model):
    """The end of the pod's output on stdout and stderr, as plain text."""

    text: Annotated[str, Field(max_length=limits.CONSOLE_BYTES)] = ""
    """The last 16 KiB, from the beginning of a line, without escape sequences and overwritten lines."""
    dropped_bytes: Count | None = None
    """How many bytes were printed before the text."""
    problem: Annotated[str, Field(max_length=limits.RECENT_MESSAGE_LENGTH)] | None = None
    """Why the output could not be read, if there is no text."""


class TaskIteration(Model):
    """A TaskIteration is the record of one attempt of an iteration: which pod ran it, its answer and its logs. It has
    the name of its pod and is written by that pod only; if the pod dies, the operator writes it on the pod's behalf.
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
    """Number of the iteration, from 1; 0 for the record of a pod that only runs lifecycle hooks."""
    try_: Annotated[Count, Field(alias="try")]
    """Number of the attempt within this iteration, from 1. Each attempt has its own pod."""
    hook: HookName | None = None
    """The lifecycle hook that the pod runs. Set only if the pod runs no iteration."""
    pod_name: ObjectName
    """Name of the pod."""
    pod_uid: Annotated[UID, Field(alias="podUID")]
    """UID of the pod."""
    protocol: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    """Version of the protocol between operator and runner that the pod uses. If absent, the version is 1."""
    node_name: ObjectName | None = None
    """Name of the node that the pod ran on."""
    image: Annotated[str, Field(max_length=limits.IMAGE_LENGTH)] | None = None
    """Image of the container that did the work."""
    started_at: Timestamp | None = None
    """When the runner started."""
    finished_at: Timestamp | None = None
    """When the response was written."""
    response: IterationResponse | None = None
    """The answer of run(). Cannot be changed."""
    quiet: bool | None = None
    """Whether nothing of the task, neither a thread nor a process, was running any longer when the answer continue was
    stored. The next iteration may then begin before the end of the container is reported."""
    checkpoint: Checkpoint | None = None
    """State that the task saved during the iteration."""
    progress: Progress | None = None
    """Progress as reported by the task."""
    heartbeat_at: Timestamp | None = None
    """Time of the last heartbeat: progress, log line, saved state or explicit heartbeat."""
    logs: Annotated[list[LogItem], Field(max_length=200), extension(list_type="atomic")] | None = None
    """The newest structured log lines: at most 200 lines and 64 KiB."""
    dropped_logs: Count | None = None
    """How many older log lines were dropped."""
    console: Console | None = None
    """The end of the pod's output, other than its structured log lines."""
    hooks: HookOutcomes | None = None
    """Outcomes of the lifecycle hooks that ran in this pod."""
