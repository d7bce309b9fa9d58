"""The planner's output: frozen values only. A `Plan` for a `View` contains actions, or the wanted status."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from podrelay.operator.objects.answers import StorableResponse
from podrelay.operator.objects.records import Record
from podrelay.operator.objects.runs import TaskRunStatus
from podrelay.operator.pods import Pod
from podrelay.operator.view import RunRef


class Target(msgspec.Struct, frozen=True):
    """The pod that is due: one attempt of one iteration."""

    iteration: int
    try_: int
    name: str
    state: str | None
    """The record whose response contains the state."""
    checkpoint: str | None
    """The record of an earlier attempt with a newer checkpoint to start from."""
    is_final_attempt: bool
    calls_before_trigger: bool = False
    """Whether it calls onBeforeTrigger, if the definition has it."""
    hooks: tuple[str, ...] = ()
    """The lifecycle hooks of a hook pod, which only calls hooks. Its `iteration` is 0."""
    after: str = ""
    """The pod that must end before this one, which is created ahead, runs the task."""
    is_standby: bool = False
    """Whether the pod that must end has not answered yet."""
    signals: tuple[str, ...] | None = None
    """The TaskSignals that the iteration is given; None unless the iteration before it waited for signals."""
    woken_by: str = ""
    """What ended that wait."""
    near: str = ""
    """The node to prefer, which has the image already; empty if there is none."""

    def with_signals(self, signals: tuple[str, ...], woken_by: str) -> "Target":
        """Return a copy whose iteration is given these TaskSignals."""
        return msgspec.structs.replace(self, signals=signals, woken_by=woken_by)


# --- actions that the executor can do ------------------------------------------------------------------------------


class Action(msgspec.Struct, frozen=True):
    """One thing that the executor can do."""


class ReadInput(Action, frozen=True):
    """Read the input of the run, validate it against the definition's schema, and read the value for its limit."""


class TakeSlot(Action, frozen=True):
    """Request a slot; the next view shows whether it was granted. `value` belongs to the definition's concurrency."""

    value: str | None


class ReturnSlot(Action, frozen=True):
    """Give the slot back, or the place in the queue."""


class CreatePod(Action, frozen=True):
    """Create the pod of `target`."""

    target: Target
    may_start_unclaimed: bool = False
    """Whether a pod that reports by termination message may start before the status names it."""


class ConfirmGone(Action, frozen=True):
    """Check with a live read that a pod that is not in the cache no longer exists."""

    name: str
    uid: str


class ConfirmAbsent(Action, frozen=True):
    """Check with a live read whether a pod that is due, and not in the cache, has been created."""

    name: str


class ConfirmLost(Action, frozen=True):
    """Check with a live read that a record that is not in the cache no longer exists."""

    record: str


class ReadRecord(Action, frozen=True):
    """Read the record of a pod that has ended from the API server, before another pod repeats its work."""

    record: str


class ConfirmSilent(Action, frozen=True):
    """Check with a live read whether a record has a newer heartbeat than the cache."""

    record: str
    heartbeat_at: datetime | None


class OpenGate(Action, frozen=True):
    """Remove the gate of the pod that the status names, so that it is scheduled."""

    pod: Pod


class EndPod(Action, frozen=True):
    """Let the kubelet end the pod: SIGTERM, grace period, SIGKILL. The pod and its logs are kept."""

    pod: Pod
    reason: str | None = None
    """Stored in an annotation of the pod if the reason is neither an abort nor the iteration's timeout."""


class DeletePod(Action, frozen=True):
    """Delete the pod with this UID, and with this resourceVersion if one is given."""

    name: str
    uid: str
    resource_version: str | None = None


class ReleasePod(Action, frozen=True):
    """Remove Podrelay's finalizer from a pod, because its result is stored or not needed."""

    pod: Pod


class AnnotateRun(Action, frozen=True):
    """Write an annotation of the run, which shows its progress where the status is not kept, such as in a backup."""

    annotation: str
    value: str


class AdoptRecord(Action, frozen=True):
    """Set the run as the owner of a record that belongs to it, but has no owner."""

    record: Record


class WriteRecord(Action, frozen=True):
    """Write the response of a pod that has ended without writing one itself."""

    target: Target
    pod_uid: str
    pod: Pod | None
    response: StorableResponse
    cause: str | None = None
    """For the retry policy, if the pod failed without an error of its own: PodFailure or Timeout."""


class ClaimRecord(Action, frozen=True):
    """Create the record of a pod that has ended without an answer, so that no other request can create it."""

    target: Target
    pod_uid: str
    pod: Pod


class DeleteRecord(Action, frozen=True):
    """Delete a record that is no longer needed."""

    name: str
    uid: str


class DeleteRun(Action, frozen=True):
    """Delete the run itself, in this version; garbage collection deletes the rest."""

    uid: str
    resource_version: str


class ConfirmChildren(Action, frozen=True):
    """List all children with a live read: their watch events may arrive later than the record that waits for them."""

    record: str


class AbortChild(Action, frozen=True):
    """Abort a child, including its own children."""

    child: RunRef
    message: str
    by: str | None = None
    """Who has aborted the run itself, if known."""


class ConsumeSignals(Action, frozen=True):
    """Mark the signals that an answer has consumed, before anything follows from that answer."""

    record: str
    iteration: int
    signals: tuple[str, ...]


class AdoptRun(Action, frozen=True):
    """Set the parent of a run as its owner, so that it is deleted with the parent."""

    parent: RunRef


class Plan(msgspec.Struct, frozen=True):
    """What to do, according to a view. Actions come first; the status is written when no actions are left."""

    actions: tuple[Action, ...] = ()
    status: TaskRunStatus | None = None
    """The wanted status, or None if it no longer matters."""
    payload_from: str | None = None
    """The record whose output and error data are written to the status, too."""
    requeue_at: datetime | None = None
    """Plan again at this time, or earlier after an event."""
    error_data: Mapping[str, Any] | None = None
    """The data of the error in the status, if no record contains it."""
    output: Mapping[str, Any] | None = None
    """The output in the status, if no record contains it."""
    keeps_slot: bool = False
    """Whether the run keeps its slot, or its place in the queue, although it has no pod."""
