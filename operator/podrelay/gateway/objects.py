"""The parts of each object that the gateway caches, for lists and filters: never payloads or log lines."""

import sys
from datetime import datetime
from typing import Final

import msgspec

from podrelay.api import names
from podrelay.api.phases import FINISHED
from podrelay.kube.resources import Key


# Frozen, so that they cannot form reference cycles and the garbage collector can skip them (gc=False). With 10,000
# runs, traversing them all would delay every request by 50 ms.
class _Struct(msgspec.Struct, rename="camel", frozen=True, gc=False):
    pass


class Annotations(_Struct, frozen=True):
    """The annotations that are shown."""

    created_by: str | None = msgspec.field(default=None, name=names.ANNOTATION_CREATED_BY)
    rerun_of: str | None = msgspec.field(default=None, name=names.ANNOTATION_RERUN_OF)
    cause: str | None = msgspec.field(default=None, name=names.ANNOTATION_CAUSE)
    """Of records: PodFailure or Timeout, if the operator wrote the answer because the pod died."""


class Metadata(_Struct, frozen=True):
    """Identity of an object."""

    name: str
    namespace: str
    uid: str
    resource_version: str
    creation_timestamp: datetime
    deletion_timestamp: datetime | None = None
    annotations: Annotations = Annotations()

    @property
    def key(self) -> Key:
        """Namespace and name."""
        return Key(self.namespace, self.name)

    @property
    def version(self) -> int:
        """The resource version as a number, which grows with each write; 0 if it is not a number."""
        return int(self.resource_version) if self.resource_version.isdecimal() else 0


class Cached(_Struct, frozen=True):
    """An object with its identity."""

    metadata: Metadata

    @property
    def key(self) -> Key:
        """Namespace and name."""
        return self.metadata.key


class Abort(_Struct, frozen=True):
    """Who has aborted a run."""

    by: str | None = None


class Present(_Struct, frozen=True):
    """A value that is present; its contents are not kept."""


class Scheduled(_Struct, frozen=True):
    """The schedule that has started a run, and the time that the run is for."""

    schedule: str
    time: datetime
    backfill: str | None = None
    manual: bool = False

    def __post_init__(self) -> None:
        """Share the name, which is the same for all runs of a schedule."""
        msgspec.structs.force_setattr(self, "schedule", sys.intern(self.schedule))


class RunSpec(_Struct, frozen=True):
    """The spec of a run, without its input."""

    definition: str
    display_name: str | None = None
    parent: str | None = None
    suspend: bool = False
    start_at: datetime | None = None
    delay_seconds: int | None = None
    scheduled: Scheduled | None = None
    abort: Abort | None = None


class CurrentPod(_Struct, frozen=True):
    """The current pod, or the last one."""

    pod_name: str
    iteration: int = 0


class TaskError(_Struct, frozen=True):
    """Why a run failed, without its data."""

    message: str
    code: str | None = None


class Progress(_Struct, frozen=True):
    """Progress, as reported by the task."""

    percent: float | None = None
    message: str | None = None
    at: datetime | None = None


class AwaitedSignals(_Struct, frozen=True):
    """The signals that a run waits for."""

    signals: tuple[str, ...]
    count: int
    until: datetime


class ApprovalDecision(_Struct, frozen=True):
    """A decision about a run."""

    signal: str
    decision: str
    by: str
    at: datetime
    iteration: int = 0
    restored_by: str | None = None


class HookOutcome(_Struct, frozen=True):
    """A hook that has been called."""

    name: str
    outcome: str | None = None
    message: str | None = None


class Condition(_Struct, frozen=True):
    """One aspect of the state of a run, and since when; its reason and message are those of the status."""

    last_transition_time: datetime
    type: str = ""
    status: str = "Unknown"

    def __post_init__(self) -> None:
        """Share the texts, which are the same for thousands of runs."""
        for field in ("type", "status"):
            msgspec.structs.force_setattr(self, field, sys.intern(getattr(self, field)))


class RunStatus(_Struct, frozen=True):
    """The status of a run, without its output."""

    phase: str | None = None
    reason: str | None = None
    message: str | None = None
    iterations: int | None = None
    max_iterations: int | None = None
    attempts: int = 0
    disruptions: int = 0
    started_at: datetime | None = None
    finished_at: datetime | None = None
    next_iteration_at: datetime | None = None
    current: CurrentPod | None = None
    error: TaskError | None = None
    progress: Progress | None = None
    queue_position: int | None = None
    waiting_for: AwaitedSignals | None = None
    approvals: tuple[ApprovalDecision, ...] = ()
    hooks: tuple[HookOutcome, ...] = ()
    conditions: tuple[Condition, ...] = ()
    last_record: str | None = None

    @property
    def is_stalled(self) -> bool:
        """Whether nothing can start until a problem is solved, or the run has ended without success."""
        return any(condition.type == "Stalled" and condition.status == "True" for condition in self.conditions)


class Run(Cached, frozen=True):
    """A TaskRun."""

    spec: RunSpec
    status: RunStatus = RunStatus()

    @property
    def phase(self) -> str:
        """The phase; Pending if the operator has not seen the run yet."""
        return self.status.phase or "Pending"

    @property
    def is_finished(self) -> bool:
        """Whether its phase will never change again."""
        return self.status.phase in FINISHED


class Retry(_Struct, frozen=True):
    """Whether and when a failed iteration is retried."""

    limit: int = 0
    initial_seconds: int = 10
    factor: float = 2
    max_seconds: int = 600
    on: tuple[str, ...] = ("Error", "PodFailure", "Timeout")


class Concurrency(_Struct, frozen=True):
    """The limit for runs with the same value of an input field."""

    key: str
    limit: int = 1


class HistoryLimit(_Struct, frozen=True):
    """How many records and finished runs are kept."""

    iterations: int = 20
    runs: int = 1000


class Standby(_Struct, frozen=True):
    """When the pod of the next iteration is created while the current one runs."""

    after_seconds: int


class Approval(_Struct, frozen=True):
    """Who may decide, and how many users must approve."""

    required: int = 1
    groups: tuple[str, ...] | None = None
    exclude_creator: bool = False


class SignalType(_Struct, frozen=True):
    """A signal that runs of a definition understand, without its schema."""

    name: str
    description: str | None = None
    payload_schema: Present | None = None
    approval: Approval | None = None


class DefinitionSpec(_Struct, frozen=True):
    """The spec of a definition, without its template and schemas."""

    id: str
    title: str
    description: str | None = None
    private: bool = False
    suspend: bool = False
    max_iterations: int = 50
    max_concurrent_runs: int | None = None
    concurrency: Concurrency | None = None
    max_children: int = 1000
    triggers: tuple[str, ...] = ()
    allow_overrides: tuple[str, ...] = ()
    hooks: tuple[str, ...] = ()
    input_schema: Present | None = None
    iteration_timeout_seconds: int = 900
    pending_timeout_seconds: int = 900
    abort_grace_period_seconds: int = 60
    heartbeat_timeout_seconds: int | None = None
    retry: Retry = Retry()
    disruption_retries: int = 3
    ttl_seconds_after_finished: int | None = None
    history_limit: HistoryLimit = HistoryLimit()
    reporting: str = names.REPORTING_API
    handover: str = "Ahead"
    standby: Standby | None = None
    signals: tuple[SignalType, ...] | None = None
    """None: all signals are accepted."""


class DefinitionCondition(_Struct, frozen=True):
    """One aspect of the state of a definition."""

    type: str
    status: str
    reason: str
    message: str = ""


class DefinitionStatus(_Struct, frozen=True):
    """The status of a definition, written by the operator."""

    active_runs: int | None = None
    queued_runs: int | None = None
    conditions: tuple[DefinitionCondition, ...] = ()

    @property
    def ready(self) -> DefinitionCondition | None:
        """Whether pods can be created from the template; None until the operator has tried."""
        return next((condition for condition in self.conditions if condition.type == "Ready"), None)


class Definition(Cached, frozen=True):
    """A TaskDefinition."""

    spec: DefinitionSpec
    status: DefinitionStatus = DefinitionStatus()


class ResponseError(_Struct, frozen=True):
    """Why an attempt failed, in one word; the message is kept once, in the run or the record."""

    code: str | None = None


class AwaitedNames(_Struct, frozen=True):
    """The names of the signals that an answer asks to wait for."""

    names: tuple[str, ...] = ()


class Response(_Struct, frozen=True):
    """The answer of one attempt, without payloads."""

    status: str
    message: str | None = None
    error: ResponseError | None = None
    wait_seconds: float | None = None
    wait_until: datetime | None = None
    wait_for_children: Present | None = None
    wait_for_signal: AwaitedNames | None = None


_SOME: Final = (Present(),)


class Record(Cached, frozen=True):
    """A TaskIteration, the record of one attempt, without payloads and log lines.

    Attributes:
        logs: one element if there are log lines; empty if there are none, so that the record need not be read.
    """

    run_name: str
    iteration: int
    try_: int = msgspec.field(name="try")
    pod_name: str
    hook: str | None = None
    node_name: str | None = None
    image: str | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    response: Response | None = None
    checkpoint: Present | None = None
    logs: tuple[Present, ...] | None = None

    def __post_init__(self) -> None:
        """Keep only whether there are lines, and share texts: 200 lines take as much memory as the rest."""
        msgspec.structs.force_setattr(self, "logs", _SOME if self.logs else ())
        for field in ("node_name", "image"):
            if (text := getattr(self, field)) is not None:
                msgspec.structs.force_setattr(self, field, sys.intern(text))

    @property
    def run_key(self) -> Key:
        """Namespace and name of its run."""
        return Key(self.metadata.namespace, self.run_name)


class ScheduleIdentity(Cached, frozen=True):
    """A TaskSchedule, of which only the identity is kept: its subscribers get the current object."""
