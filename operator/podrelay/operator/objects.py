"""Projections of API objects: only the fields that the operator reads are decoded and kept.

Payloads (outputs, checkpoints, inputs) are not kept, except the small inputs of unfinished runs, so that 10,000 runs
fit into memory.
"""

from datetime import datetime, timedelta
from typing import Annotated, Any, Final, Literal, TypedDict, Unpack

import msgspec

from podrelay.api import limits, names
from podrelay.api.phases import FINISHED

KEPT_INPUT_BYTES: Final = 2048
"""Inputs up to this size, as JSON, are kept: most inputs are small, and reading one again costs more than a plan."""


class Projection(msgspec.Struct, rename="camel", frozen=True, omit_defaults=True):
    """The part of an object that the operator reads; the decoder skips everything else."""


class Present(Projection, frozen=True):
    """A placeholder for an object of which only the existence matters."""


class OwnerReference(Projection, frozen=True):
    """The owner of an object."""

    kind: str
    name: str
    uid: str
    controller: bool = False
    api_version: str = names.API_VERSION

    @property
    def is_run(self) -> bool:
        """Whether the owner is a TaskRun of Podrelay; Tekton has a kind of the same name."""
        return self.kind == "TaskRun" and self.api_version.startswith(f"{names.GROUP}/")


class Metadata(Projection, frozen=True):
    """Identity of an object."""

    name: str
    namespace: str
    uid: str
    resource_version: str
    creation_timestamp: datetime
    generation: int = 0
    deletion_timestamp: datetime | None = None
    deletion_grace_period_seconds: int = 0
    owner_references: tuple[OwnerReference, ...] = ()

    @property
    def deletion_requested_at(self) -> datetime | None:
        """When the deletion was requested; `deletion_timestamp` is the end of the grace period."""
        if self.deletion_timestamp is None:
            return None
        return self.deletion_timestamp - timedelta(seconds=self.deletion_grace_period_seconds)

    def owner_run(self) -> OwnerReference | None:
        """Return the TaskRun that owns this object, if one does."""
        return next((owner for owner in self.owner_references if owner.is_run), None)


# --- TaskRun ---------------------------------------------------------------------------------------------------------


class Abort(Projection, frozen=True):
    """The request to abort a run."""

    message: str | None = None
    cascade: bool = False
    by: str | None = None


class Scheduled(Projection, frozen=True):
    """The schedule that started a run, and the time that the run is for."""

    schedule: str
    time: datetime
    previous: datetime | None = None
    next: datetime | None = None
    backfill: str | None = None
    manual: bool = False


class ResourceOverrides(Projection, frozen=True):
    """Requests and limits of the task's container."""

    requests: dict[str, int | str] | None = None
    limits: dict[str, int | str] | None = None


class Variable(Projection, frozen=True):
    """An environment variable."""

    name: str
    value: str


class TimeoutOverrides(Projection, frozen=True):
    """Timeouts of a run."""

    iteration_timeout_seconds: int | None = None
    pending_timeout_seconds: int | None = None
    abort_grace_period_seconds: int | None = None
    heartbeat_timeout_seconds: int | None = None


class RetryOverrides(Projection, frozen=True):
    """Fields of the retry policy of a run."""

    limit: int | None = None
    initial_seconds: int | None = None
    factor: float | None = None
    max_seconds: int | None = None
    on: tuple[str, ...] | None = None


class Overrides(Projection, frozen=True):
    """Settings of the definition that are different for a run."""

    resources: ResourceOverrides | None = None
    env: tuple[Variable, ...] | None = None
    node_selector: dict[str, str] | None = None
    tolerations: tuple[dict[str, Any], ...] | None = None
    priority_class_name: str | None = None
    timeouts: TimeoutOverrides | None = None
    retry: RetryOverrides | None = None
    max_iterations: int | None = None


class TaskRunSpec(Projection, frozen=True):
    """The work of a run.

    Attributes:
        input: the input as JSON, `{}` where there is none; empty where it is not kept and has to be read again.
    """

    definition: str
    input: msgspec.Raw = msgspec.Raw(b"{}")
    delay_seconds: int | None = None
    start_at: datetime | None = None
    parent: str | None = None
    secret: str | None = None
    overrides: Overrides | None = None
    scheduled: Scheduled | None = None
    abort: Abort | None = None
    suspend: bool = False
    ttl_seconds_after_finished: int | None = None


class Current(Projection, frozen=True):
    """The one pod that may run user code for a run."""

    iteration: int
    try_: int = msgspec.field(name="try")
    pod_name: str
    pod_uid: str = msgspec.field(name="podUID")
    released_at: datetime | None = None
    """When a pod that was created ahead was allowed to run the task."""


class TaskError(Projection, frozen=True):
    """Why a task failed. `data` is not kept here."""

    message: str
    code: str | None = None


class Progress(Projection, frozen=True):
    """The progress that a task reported."""

    percent: float | None = None
    message: str | None = None
    at: datetime | None = None


class AwaitedSignals(Projection, frozen=True):
    """The signals that a run waits for."""

    signals: tuple[str, ...]
    count: int
    until: datetime


class ApprovalDecision(Projection, frozen=True):
    """A decision about a run."""

    signal: str
    decision: str
    by: str
    at: datetime
    name: str
    iteration: int
    restored_by: str | None = None


class HookOutcome(Projection, frozen=True):
    """How one lifecycle hook ended."""

    name: str
    outcome: str
    message: str | None = None


class RecentIteration(Projection, frozen=True):
    """The summary of an attempt that has ended."""

    iteration: int
    try_: int = msgspec.field(name="try")
    pod_name: str
    answer: str
    started_at: datetime | None = None
    finished_at: datetime | None = None
    message: str | None = None


class Condition(Projection, frozen=True):
    """One aspect of a resource's state."""

    type: str
    status: str
    reason: str
    last_transition_time: datetime
    message: str = ""
    observed_generation: int | None = None


class StatusChanges(TypedDict, total=False):
    """Fields of a status that the planner changes. Phase, reason and message change together, with the conditions."""

    iterations: int
    max_iterations: int | None
    attempts: int
    disruptions: int
    started_at: datetime | None
    finished_at: datetime
    next_iteration_at: datetime | None
    waiting_for: AwaitedSignals | None
    approvals: tuple[ApprovalDecision, ...]
    current: Current | None
    last_record: str
    output_from: str
    error: TaskError | None
    progress: Progress | None
    queue_position: int | None
    concurrency_key: str | None
    hooks_due: tuple[str, ...]
    hooks: tuple[HookOutcome, ...]
    recent_iterations: tuple[RecentIteration, ...]
    observed_generation: int | None
    conditions: tuple[Condition, ...]


class TaskRunStatus(Projection, frozen=True):
    """The progress of a run, without its output. Together with pods and records, it determines the next plan."""

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
    waiting_for: AwaitedSignals | None = None
    approvals: tuple[ApprovalDecision, ...] = ()
    current: Current | None = None
    last_record: str | None = None
    output_from: str | None = None
    error: TaskError | None = None
    progress: Progress | None = None
    queue_position: int | None = None
    concurrency_key: str | None = None
    hooks_due: tuple[str, ...] = ()
    hooks: tuple[HookOutcome, ...] = ()
    recent_iterations: tuple[RecentIteration, ...] = ()
    observed_generation: int | None = None
    conditions: tuple[Condition, ...] = ()

    def changed(self, **changes: Unpack[StatusChanges]) -> "TaskRunStatus":
        """Return a copy with some fields changed."""
        return msgspec.structs.replace(self, **changes)

    def condition(self, kind: str) -> Condition | None:
        """Return the condition of this type, if there is one."""
        return next((condition for condition in self.conditions if condition.type == kind), None)


class RunAnnotations(msgspec.Struct, frozen=True):
    """The annotations of a run that the operator reads."""

    began: str | None = msgspec.field(default=None, name=names.ANNOTATION_BEGAN)
    ended: str | None = msgspec.field(default=None, name=names.ANNOTATION_ENDED)
    created_by: str | None = msgspec.field(default=None, name=names.ANNOTATION_CREATED_BY)
    parent_iteration: str | None = msgspec.field(default=None, name=names.ANNOTATION_PARENT_ITERATION)
    imported: str | None = msgspec.field(default=None, name=names.ANNOTATION_IMPORTED)
    origin: str | None = msgspec.field(default=None, name=names.ANNOTATION_ORIGIN)
    last_applied: str | None = msgspec.field(default=None, name=names.ANNOTATION_LAST_APPLIED)

    def __post_init__(self) -> None:
        """Recover what is known about the run before a restore from the object that `kubectl apply` has stored."""
        if self.last_applied is None:
            return
        before = _applied(self.last_applied)
        status, phase = before.status, before.status.phase
        recovered = {"began": status.started_at, "ended": phase if phase in FINISHED else None, "origin": before.origin}
        for field, value in recovered.items():
            if value is not None and getattr(self, field) is None:
                msgspec.structs.force_setattr(self, field, value)
        msgspec.structs.force_setattr(self, "last_applied", None)


class _AppliedStatus(Projection, frozen=True):
    phase: str | None = None
    started_at: str | None = None


class _AppliedMetadata(Projection, frozen=True):
    name: str = ""
    uid: str = ""


class _Applied(Projection, frozen=True):
    metadata: _AppliedMetadata = _AppliedMetadata()
    status: _AppliedStatus = _AppliedStatus()

    @property
    def origin(self) -> str | None:
        return names.origin(self.metadata.name, self.metadata.uid) if self.metadata.uid else None


def _applied(text: str) -> _Applied:
    try:
        return msgspec.json.decode(text, type=_Applied) if '"status"' in text else _Applied()
    except msgspec.MsgspecError:
        return _Applied()  # edited by a user; the annotation belongs to kubectl


class RestoreLabels(msgspec.Struct, frozen=True, rename={"velero": names.LABEL_VELERO_RESTORE}):
    """The label of a run or a record that marks a restored object."""

    velero: str | None = None


class RunMetadata(Metadata, frozen=True):
    """Identity of a run."""

    annotations: RunAnnotations = RunAnnotations()
    labels: RestoreLabels = RestoreLabels()

    @property
    def origin_uid(self) -> str:
        """The UID that names of children are derived from: the original one if the run was restored from a backup."""
        name, _, uid = (self.annotations.origin or "").partition("/")
        return uid if uid and name == self.name else self.uid


_NOT_KEPT: Final = msgspec.Raw()


class TaskRun(Projection, frozen=True):
    """One piece of work."""

    metadata: RunMetadata
    spec: TaskRunSpec
    status: TaskRunStatus = TaskRunStatus()

    def __post_init__(self) -> None:
        """Keep the input only if it is small and still needed."""
        is_kept = len(self.spec.input) <= KEPT_INPUT_BYTES and self.status.phase not in FINISHED
        # Copy it: the decoded value is a view that keeps the whole response in memory.
        kept = self.spec.input.copy() if is_kept else _NOT_KEPT
        msgspec.structs.force_setattr(self, "spec", msgspec.structs.replace(self.spec, input=kept))

    @property
    def is_incomplete(self) -> bool:
        """Whether `podrelay import` has not restored all of the run yet: until then, the run is left alone."""
        return self.metadata.annotations.imported == names.IMPORT_INCOMPLETE


# --- ConfigMap podrelay-settings -------------------------------------------------------------------------------------


class SettingsData(Projection, frozen=True):
    """The settings as text, because a ConfigMap only contains text."""

    retention_days: str | None = None


class NamespaceSettings(Projection, frozen=True):
    """The settings of a namespace."""

    metadata: Metadata
    data: SettingsData = SettingsData()


class Named(Projection, frozen=True):
    """An object of which only the existence and changes matter."""

    metadata: Metadata


# --- TaskDefinition --------------------------------------------------------------------------------------------------


class RetryPolicy(Projection, frozen=True):
    """Whether and when a failed attempt is repeated."""

    limit: int = 0
    initial_seconds: int = 10
    factor: float = 2.0
    max_seconds: int = 600
    on: tuple[str, ...] = ("Error", "PodFailure", "Timeout")


class Concurrency(Projection, frozen=True):
    """How many runs with one value of an input field may have a pod at once."""

    key: str
    limit: int = 1


class HistoryLimit(Projection, frozen=True):
    """How many finished runs and records are kept."""

    iterations: int = 20
    runs: int = 1000


class Standby(Projection, frozen=True):
    """When the pod of the next iteration is created while the current one runs."""

    after_seconds: int = 0


class Approval(Projection, frozen=True):
    """Who may decide, and how many must approve."""

    required: int = 1
    groups: tuple[str, ...] | None = None
    exclude_creator: bool = False


class SignalType(Projection, frozen=True):
    """A signal that runs of a definition understand."""

    name: str
    payload_schema: dict[str, Any] | None = None
    approval: Approval | None = None


class TaskDefinitionSpec(Projection, frozen=True):
    """The settings of a task and the template of its pods."""

    id: str
    template: dict[str, Any]
    max_iterations: int = 50
    hooks: tuple[str, ...] = ()
    record_logs: bool = True
    self_cleanup: tuple[str, ...] = ()
    iteration_timeout_seconds: int = 900
    pending_timeout_seconds: int = 900
    abort_grace_period_seconds: int = 60
    heartbeat_timeout_seconds: int | None = None
    node_lost_timeout_seconds: int = 600
    retry: RetryPolicy = RetryPolicy()
    disruption_retries: int = 3
    max_concurrent_runs: int | None = None
    concurrency: Concurrency | None = None
    triggers: tuple[str, ...] | None = None
    allow_overrides: tuple[str, ...] = ()
    max_children: int = 1000
    suspend: bool = False
    ttl_seconds_after_finished: int | None = None
    history_limit: HistoryLimit = HistoryLimit()
    pod_cleanup: str = "OnSuccess"
    reporting: str = names.REPORTING_API
    variables: tuple[str, ...] | None = None
    handover: str = "Ahead"
    standby: Standby | None = None
    input_schema: dict[str, Any] | None = None
    signals: tuple[SignalType, ...] | None = None

    def signal(self, name: str) -> SignalType | None:
        """Return the signal of this name, if the definition lists it."""
        return next((signal for signal in self.signals or () if signal.name == name), None)


class TaskDefinitionStatus(Projection, frozen=True):
    """The status that the operator writes to a definition."""

    observed_generation: int | None = None
    conditions: tuple[Condition, ...] = ()
    active_runs: int | None = None
    queued_runs: int | None = None


class DefinitionAnnotations(msgspec.Struct, frozen=True):
    """The annotations of a definition that the operator reads."""

    created_by: str | None = msgspec.field(default=None, name=names.ANNOTATION_CREATED_BY)
    changed_by: str | None = msgspec.field(default=None, name=names.ANNOTATION_CHANGED_BY)


class DefinitionMetadata(Metadata, frozen=True):
    """Identity of a definition."""

    annotations: DefinitionAnnotations = DefinitionAnnotations()


class TaskDefinition(Projection, frozen=True):
    """A kind of task."""

    metadata: DefinitionMetadata
    spec: TaskDefinitionSpec
    status: TaskDefinitionStatus = TaskDefinitionStatus()


# --- TaskIteration ---------------------------------------------------------------------------------------------------


class ResponseError(TaskError, frozen=True):
    """Why a task failed, and whether the error has data."""

    data: Present | None = None


_SignalName = Annotated[str, msgspec.Meta(max_length=63, pattern=names.SIGNAL_NAME)]


class WaitForChildren(Projection, frozen=True):
    """The children that a run waits for before its next iteration: those of one definition, or all."""

    definition: Annotated[str, msgspec.Meta(max_length=63, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")] | None = None


class WaitForSignal(Projection, frozen=True):
    """The signals that a run waits for before its next iteration."""

    names: Annotated[tuple[_SignalName, ...], msgspec.Meta(min_length=1, max_length=limits.SIGNAL_NAMES)]
    count: Annotated[int, msgspec.Meta(ge=1, le=limits.SIGNALS_AT_ONCE)] = 1


class Response(Projection, frozen=True):
    """An answer without its payloads."""

    status: str
    message: str | None = None
    wait_seconds: float | None = None
    wait_until: datetime | None = None
    wait_for_children: WaitForChildren | None = None
    wait_for_signal: WaitForSignal | None = None
    signals: tuple[str, ...] = ()
    error: ResponseError | None = None
    retryable: bool | None = None
    retry_after_seconds: float | None = None
    refusal: str | None = None
    output: Present | None = None

    @property
    def has_result(self) -> bool:
        """Whether the answer has output or error data that belong in the status of the run, but are not kept here."""
        return self.output is not None or (self.error is not None and self.error.data is not None)


_Text = Annotated[str, msgspec.Meta(max_length=limits.MESSAGE_LENGTH)]


class StorableError(Projection, frozen=True, forbid_unknown_fields=True):
    """An error as the schema of records accepts it."""

    message: _Text
    code: Annotated[str, msgspec.Meta(max_length=256)] | None = None
    data: dict[str, Any] | None = None


class StorableResponse(Projection, frozen=True, forbid_unknown_fields=True):
    """A whole answer as the schema of records accepts it: for answers that the API server has not validated."""

    status: Literal["done", "continue", "error", "aborted"]
    message: _Text | None = None
    output: dict[str, Any] | None = None
    input: dict[str, Any] | None = None
    wait_seconds: Annotated[float, msgspec.Meta(ge=0, le=limits.MAX_WAIT_SECONDS)] | None = None
    wait_until: Annotated[datetime, msgspec.Meta(tz=True)] | None = None
    wait_for_children: WaitForChildren | None = None
    wait_for_signal: WaitForSignal | None = None
    signals: tuple[str, ...] = ()
    error: StorableError | None = None
    retryable: bool | None = None
    retry_after_seconds: Annotated[float, msgspec.Meta(ge=0, le=limits.MAX_WAIT_SECONDS)] | None = None


class UndeliveredResponse(StorableResponse, frozen=True):
    """An answer that Podrelay's runner could not store, possibly from before run() was called."""

    refusal: Literal["InvalidInput", "Rejected"] | None = None


class RecordAnnotations(msgspec.Struct, frozen=True, rename={"cause": names.ANNOTATION_CAUSE}):
    """The annotations that the operator sets on a record that it writes for a pod."""

    cause: str | None = None


class RecordMetadata(Metadata, frozen=True):
    """Identity of a record, and who wrote its response."""

    annotations: RecordAnnotations = RecordAnnotations()
    labels: RestoreLabels = RestoreLabels()


class Record(Projection, frozen=True):
    """The record of one attempt, without its payloads."""

    metadata: RecordMetadata
    run_name: str
    iteration: int
    try_: int = msgspec.field(name="try")
    pod_name: str
    pod_uid: str = msgspec.field(name="podUID")
    protocol: int = 1
    started_at: datetime | None = None
    finished_at: datetime | None = None
    response: Response | None = None
    quiet: bool = False
    checkpoint: Present | None = None
    progress: Progress | None = None
    hook: str | None = None
    heartbeat_at: datetime | None = None
    hooks: tuple[HookOutcome, ...] = ()


# --- Pod -------------------------------------------------------------------------------------------------------------
