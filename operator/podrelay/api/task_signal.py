"""TaskSignal: an event for a run, or a decision about it. It never changes; the operator writes its status."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import ConfigDict, Field

from podrelay.api import limits
from podrelay.api.common import (
    Count,
    Message,
    Model,
    ObjectName,
    OwnTimestamp,
    Payload,
    Reason,
    ResourceName,
    SignalName,
    cel,
    extension,
)

Decision = Literal["Approve", "Reject"]
Group = Annotated[str, Field(min_length=1, max_length=256)]
_UNCHANGEABLE = "spec cannot be changed; create another TaskSignal"
SignalPhase = Literal["Pending", "Consumed", "Rejected"]


class TaskSignalSpec(Model):
    """What is sent, and to which run. It cannot be changed."""

    model_config = ConfigDict(
        json_schema_extra=cel(
            ("self.taskRun == oldSelf.taskRun && self.signal == oldSelf.signal", _UNCHANGEABLE),
            *(
                (
                    f"has(self.{field}) == has(oldSelf.{field}) && (!has(self.{field}) || "
                    f"self.{field} == oldSelf.{field})",
                    _UNCHANGEABLE,
                )
                for field in ("payload", "decision", "groups")
            ),
        )
    )

    task_run: ResourceName
    """Name of the TaskRun in the same namespace. A signal for a run that does not exist yet waits an hour for it."""
    signal: SignalName
    """Name of the signal, for example payment. If spec.signals of the TaskDefinition lists signals, it must be one of
    them."""
    payload: Payload | None = None
    """Data of the signal: a JSON object of at most 64 KiB."""
    decision: Decision | None = None
    """For a signal that is an approval: Approve or Reject. It needs the annotation podrelay.dev/created-by with your
    own user name."""
    groups: Annotated[list[Group], Field(max_length=limits.SIGNAL_GROUPS), extension(list_type="set")] | None = None
    """Groups of the sender that count for an approval. Each must be one of your own groups; `kubectl auth whoami` shows
    them. Commands, task service and gateway set them."""


class TaskSignalStatus(Model):
    """What became of the signal. Written by the operator only."""

    phase: SignalPhase | None = None
    """Pending until an iteration has consumed it, then Consumed; or Rejected."""
    reason: Reason | None = None
    """Why it was rejected, in one CamelCase word."""
    message: Message | None = None
    """Why it was rejected, in plain text."""
    iteration: Count | None = None
    """Number of the iteration that has consumed it."""
    record: ObjectName | None = None
    """Name of the TaskIteration whose answer has consumed it."""
    processed_at: OwnTimestamp | None = None
    """When it was marked as consumed or rejected."""


class TaskSignal(Model):
    """A TaskSignal is an event for a TaskRun, such as a payment, or a decision about it. It is kept until an iteration
    of the run that waits for it consumes it, exactly once. Its name identifies the event: sending it again has no
    effect.
    """

    born: ClassVar[Mapping[str, Any]] = {"phase": "Pending"}

    spec: TaskSignalSpec
    """What is sent, and to which run."""
    status: TaskSignalStatus | None = None
    """What became of the signal. Written by the operator only."""
