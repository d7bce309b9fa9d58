"""The planner's output: frozen values only. A `Plan` is what follows from a `View`: actions, or a wanted status."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from podrelay.operator.objects import Record, StorableResponse, TaskRunStatus
from podrelay.operator.pods import Pod
from podrelay.operator.view import RunRef


@dataclass(frozen=True, slots=True)
class Target:
    """The pod that is due: one try of one iteration."""

    iteration: int
    try_: int
    name: str
    state: str | None
    """The record whose response carries the state."""
    checkpoint: str | None
    """The record of an earlier try whose checkpoint is the better start."""
    is_final_attempt: bool
    calls_before_trigger: bool = False
    """Whether it calls onBeforeTrigger, should the definition have it."""
    hooks: tuple[str, ...] = ()
    """For a pod that calls lifecycle hooks and nothing else: which ones. Then `iteration` is 0."""


# --- actions: what the executor can do ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ReadInput:
    """Read the input of the run, check it against the definition's schema, and look up the value of its limit."""


@dataclass(frozen=True, slots=True)
class TakeSlot:
    """Ask for a slot; the next view tells whether it was granted. `value` is that of the definition's concurrency."""

    value: str | None


@dataclass(frozen=True, slots=True)
class ReturnSlot:
    """Give the slot back, or the place in the queue."""


@dataclass(frozen=True, slots=True)
class CreatePod:
    """Make the pod of `target`."""

    target: Target


@dataclass(frozen=True, slots=True)
class ConfirmGone:
    """Ask the API server itself whether a pod that the cache lacks is really no more."""

    name: str
    uid: str


@dataclass(frozen=True, slots=True)
class ConfirmAbsent:
    """Ask the API server itself whether a pod that is due, and not in the cache, has been made."""

    name: str


@dataclass(frozen=True, slots=True)
class ConfirmLost:
    """Ask the API server itself whether a record that the cache lacks is really no more."""

    record: str


@dataclass(frozen=True, slots=True)
class ReadRecord:
    """Read the record of a pod that has ended from the API server itself, before that pod's work is done by another."""

    record: str


@dataclass(frozen=True, slots=True)
class ConfirmSilent:
    """Ask the API server itself whether the sign of life that is known of a record is really its last."""

    record: str
    heartbeat_at: datetime | None


@dataclass(frozen=True, slots=True)
class OpenGate:
    """Let a pod be scheduled that the status names as the one that may run."""

    pod: Pod


@dataclass(frozen=True, slots=True)
class EndPod:
    """Let the kubelet end the pod: SIGTERM, grace period, SIGKILL. Pod and logs stay."""

    pod: Pod
    reason: str | None = None
    """Noted on the pod where it is neither abort nor the iteration's timeout."""


@dataclass(frozen=True, slots=True)
class DeletePod:
    """Delete the pod with this UID, in this version where one is given."""

    name: str
    uid: str
    resource_version: str | None = None


@dataclass(frozen=True, slots=True)
class ReleasePod:
    """Take our finalizer off a pod: what became of it is stored, or nobody needs to know."""

    pod: Pod


@dataclass(frozen=True, slots=True)
class AnnotateRun:
    """Write an annotation of the run: what is to be known of it where its status does not go, such as into a backup."""

    annotation: str
    value: str


@dataclass(frozen=True, slots=True)
class AdoptRecord:
    """Give a record that is the run's, but has no owner, the run as its owner."""

    record: Record


@dataclass(frozen=True, slots=True)
class WriteRecord:
    """Write the response of a pod that has ended without writing one itself."""

    target: Target
    pod_uid: str
    pod: Pod | None
    response: StorableResponse
    cause: str | None = None
    """For the retry policy, where the pod failed without a word of its own: PodFailure or Timeout."""


@dataclass(frozen=True, slots=True)
class ClaimRecord:
    """Make the record of a pod that has ended without an answer, so that no other can be made of that name."""

    target: Target
    pod_uid: str
    pod: Pod


@dataclass(frozen=True, slots=True)
class DeleteRecord:
    """Delete a record that nobody needs any more."""

    name: str
    uid: str


@dataclass(frozen=True, slots=True)
class DeleteRun:
    """Delete the run itself, in this version; garbage collection takes the rest."""

    uid: str
    resource_version: str


@dataclass(frozen=True, slots=True)
class ConfirmChildren:
    """Ask the API server itself for all children: they may be seen later than the record that waits for them."""

    record: str


@dataclass(frozen=True, slots=True)
class AbortChild:
    """Have a child aborted, with its own children."""

    child: RunRef
    message: str
    by: str | None = None
    """Who has aborted the run itself, as far as is known."""


@dataclass(frozen=True, slots=True)
class AdoptRun:
    """Give a run its parent as an owner, so that it goes when that goes."""

    parent: RunRef


Action = (
    ReadInput
    | TakeSlot
    | ReturnSlot
    | CreatePod
    | ConfirmGone
    | ConfirmAbsent
    | ConfirmLost
    | ReadRecord
    | ConfirmSilent
    | OpenGate
    | EndPod
    | DeletePod
    | ReleasePod
    | AnnotateRun
    | AdoptRecord
    | WriteRecord
    | ClaimRecord
    | DeleteRecord
    | DeleteRun
    | ConfirmChildren
    | AbortChild
    | AdoptRun
)


@dataclass(frozen=True, slots=True)
class Plan:
    """What follows from a view. Actions come first; the status is written when there are none left."""

    actions: tuple[Action, ...] = ()
    status: TaskRunStatus | None = None
    """The wanted status, or None where it does not matter any more."""
    payload_from: str | None = None
    """The record whose output and error data go into the status with it."""
    requeue_at: datetime | None = None
    """Plan again then at the latest, whatever events come."""
    error_data: Mapping[str, Any] | None = None
    """Data of the status's error, where no record has it."""
    keeps_slot: bool = False
    """Whether the run goes on waiting for its slot, or holding it, although it has no pod."""
