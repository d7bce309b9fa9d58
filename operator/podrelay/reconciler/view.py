"""The planner's input and output: frozen values only.

A `View` is everything that is known about one TaskRun at one moment; a `Plan` is what follows from it. Neither holds a
connection, a clock or a payload, so a test can make any situation by hand.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any

from podrelay.reconciler.objects import Pod, Record, StorableResponse, TaskDefinition, TaskRun, TaskRunStatus
from podrelay.reconciler.slots import Slot


@dataclass(frozen=True, slots=True)
class Settings:
    """What the operator's flags decide for all runs."""

    default_ttl: timedelta | None = timedelta(days=90)
    """How long a finished run is kept where neither run nor definition says; None: for ever."""
    progress_interval: timedelta = timedelta(seconds=15)
    """Progress is copied into the status of a run at most this often."""
    answer_grace: timedelta = timedelta(seconds=30)
    """How long a container may go on after its answer, and a pod after its container."""
    force_gone_grace: timedelta = timedelta(seconds=15)
    """Wait after a pod vanished whose container may still run: by then its token is dead."""
    max_running_pods: int | None = None
    """How many runs of all definitions may have a pod at the same time; None: no limit."""


@dataclass(frozen=True, slots=True)
class Gone:
    """A live GET has confirmed that a pod is no more."""

    at: datetime
    last: Pod | None
    """The pod as it was seen last, or None if it never was, for example before a restart of the operator."""
    is_last_state: bool
    """Whether `last` is what the pod was when it went; not so if its deletion itself was missed."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """The API server, or the template itself, refused a pod or a record of the run."""

    name: str
    reason: str
    message: str
    since: datetime
    retry_at: datetime


@dataclass(frozen=True, slots=True)
class InputFacts:
    """What was found in the input of a run, which nobody keeps."""

    schema_problem: str | None = None
    """Why the definition's inputSchema is no JSON Schema."""
    invalid_fields: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    """By dot path, each as {"code", "message", "data": {"path"}}; empty if the input fits the schema."""
    concurrency_key: str | None = None
    """The value that spec.concurrency.key of the definition leads to; None if there is no such limit."""


@dataclass(frozen=True, slots=True)
class View:
    """All that is known about one TaskRun."""

    run: TaskRun
    definition: TaskDefinition | None
    pods: tuple[Pod, ...] = ()
    records: tuple[Record, ...] = ()
    gone: Mapping[str, Gone] = field(default_factory=lambda: MappingProxyType({}))
    """By UID."""
    lost_records: frozenset[str] = frozenset()
    """Names of records of which a live GET has said that they are no more, although the run needs them."""
    unanswered: frozenset[str] = frozenset()
    """Names of tries of which a live GET has said, after their pod had ended, that their record holds no answer."""
    refusal: Refusal | None = None
    input: InputFacts | None = None
    """None until the input was read; forgotten when the status tells what followed from it."""
    slot: Slot | None = None
    """Whether the run may have a pod, or which place in the queue it has; None if it neither has nor wants one."""
    is_surplus: bool = False
    """Whether so many runs of the definition have finished since this one that it need not be kept."""
    settings: Settings = Settings()

    def owns(self, obj: Pod | Record) -> bool:
        """Tell whether a pod or record belongs to this very run, not to an earlier one of its name."""
        owner = obj.metadata.owner_run()
        if owner is None and isinstance(obj, Record):
            # Somebody took its owner away; a UID is as good a proof.
            current = self.run.status.current
            return current is not None and current.pod_uid == obj.pod_uid
        return owner is not None and owner.uid == self.run.metadata.uid


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
class ConfirmLost:
    """Ask the API server itself whether a record that the cache lacks is really no more."""

    record: str


@dataclass(frozen=True, slots=True)
class ConfirmUnanswered:
    """Ask the API server itself whether a try that is to be repeated has really left no answer."""

    record: str


@dataclass(frozen=True, slots=True)
class OpenGate:
    """Let a pod be scheduled that the status names as the one that may run."""

    pod: Pod


@dataclass(frozen=True, slots=True)
class EndPod:
    """Let the kubelet end the pod: SIGTERM, grace period, SIGKILL. Pod and logs stay."""

    pod: Pod


@dataclass(frozen=True, slots=True)
class DeletePod:
    """Delete the pod with this UID, in this version where one is given."""

    name: str
    uid: str
    resource_version: str | None = None


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
class DeleteRecord:
    """Delete a record that nobody needs any more."""

    name: str
    uid: str


@dataclass(frozen=True, slots=True)
class DeleteRun:
    """Delete the run itself, in this version; garbage collection takes the rest."""

    uid: str
    resource_version: str


Action = (
    ReadInput
    | TakeSlot
    | ReturnSlot
    | CreatePod
    | ConfirmGone
    | ConfirmLost
    | ConfirmUnanswered
    | OpenGate
    | EndPod
    | DeletePod
    | WriteRecord
    | DeleteRecord
    | DeleteRun
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
