"""What the operator keeps of each object: projections that skip everything nobody here reads.

Payloads (outputs, checkpoints, inputs) are not kept, but for the small input of a run that has not finished; 10,000
runs have to fit into memory.
"""

from datetime import datetime, timedelta
from typing import Annotated, Any, Final, Literal

import msgspec

from podrelay.api import limits, names
from podrelay.api.phases import FINISHED

KEPT_INPUT_BYTES: Final = 2048
"""An input up to this size, as JSON, is kept: most are, and to read one once more costs more than a plan."""


class _Struct(msgspec.Struct, rename="camel", frozen=True, omit_defaults=True):
    pass


class Present(_Struct, frozen=True):
    """Stands for an object of which only the existence matters."""


class OwnerReference(_Struct, frozen=True):
    """The object that another one belongs to."""

    kind: str
    name: str
    uid: str
    controller: bool = False
    api_version: str = names.API_VERSION

    @property
    def is_run(self) -> bool:
        """Whether it is one of our TaskRuns; Tekton has a kind of the same name."""
        return self.kind == "TaskRun" and self.api_version.startswith(f"{names.GROUP}/")


class Metadata(_Struct, frozen=True):
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
        """When somebody deleted the object; `deletion_timestamp` is when its grace period ends."""
        if self.deletion_timestamp is None:
            return None
        return self.deletion_timestamp - timedelta(seconds=self.deletion_grace_period_seconds)

    def owner_run(self) -> OwnerReference | None:
        """Return the TaskRun that owns this object, if one does."""
        return next((owner for owner in self.owner_references if owner.is_run), None)


# --- TaskRun ---------------------------------------------------------------------------------------------------------


class Abort(_Struct, frozen=True):
    """The request that a run stops."""

    message: str | None = None
    cascade: bool = False
    by: str | None = None


class TaskRunSpec(_Struct, frozen=True):
    """What a run is to do.

    Attributes:
        input: the input as JSON, `{}` where there is none; empty where it is not kept and has to be read again.
    """

    definition: str
    input: msgspec.Raw = msgspec.Raw(b"{}")
    delay_seconds: int | None = None
    start_at: datetime | None = None
    parent: str | None = None
    secret: str | None = None
    abort: Abort | None = None
    suspend: bool = False
    ttl_seconds_after_finished: int | None = None


class Current(_Struct, frozen=True):
    """The one pod that may run user code for a run."""

    iteration: int
    try_: int = msgspec.field(name="try")
    pod_name: str
    pod_uid: str = msgspec.field(name="podUID")


class TaskError(_Struct, frozen=True):
    """Why a task failed. `data` stays where it is."""

    message: str
    code: str | None = None


class Progress(_Struct, frozen=True):
    """How far a task says it has come."""

    percent: float | None = None
    message: str | None = None
    at: datetime | None = None


class HookOutcome(_Struct, frozen=True):
    """How one lifecycle hook ended."""

    name: str
    outcome: str
    message: str | None = None


class RecentIteration(_Struct, frozen=True):
    """One ended try, in short."""

    iteration: int
    try_: int = msgspec.field(name="try")
    pod_name: str
    answer: str
    started_at: datetime | None = None
    finished_at: datetime | None = None
    message: str | None = None


class Condition(_Struct, frozen=True):
    """One aspect of a resource's state."""

    type: str
    status: str
    reason: str
    last_transition_time: datetime
    message: str = ""
    observed_generation: int | None = None


class TaskRunStatus(_Struct, frozen=True):
    """How far a run has come, without its output. Decides everything together with pods and records."""

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

    def condition(self, kind: str) -> Condition | None:
        """Return the condition of this type, if there is one."""
        return next((condition for condition in self.conditions if condition.type == kind), None)


class RunAnnotations(
    msgspec.Struct,
    frozen=True,
    rename={
        "began": names.ANNOTATION_BEGAN,
        "ended": names.ANNOTATION_ENDED,
        "created_by": names.ANNOTATION_CREATED_BY,
        "parent_iteration": names.ANNOTATION_PARENT_ITERATION,
        "imported": names.ANNOTATION_IMPORTED,
        "origin": names.ANNOTATION_ORIGIN,
        "last_applied": names.ANNOTATION_LAST_APPLIED,
    },
):
    """What a run's annotations tell of it."""

    began: str | None = None
    ended: str | None = None
    created_by: str | None = None
    parent_iteration: str | None = None
    imported: str | None = None
    origin: str | None = None
    last_applied: str | None = None

    def __post_init__(self) -> None:
        """Keep of what `kubectl apply` was given what it tells of the run's life before: what it was read from."""
        if self.last_applied is None:
            return
        before = _applied(self.last_applied)
        status, phase = before.status, before.status.phase
        told = {"began": status.started_at, "ended": phase if phase in FINISHED else None, "origin": before.origin}
        for field, value in told.items():
            if value is not None and getattr(self, field) is None:
                msgspec.structs.force_setattr(self, field, value)
        msgspec.structs.force_setattr(self, "last_applied", None)


class _AppliedStatus(_Struct, frozen=True):
    phase: str | None = None
    started_at: str | None = None


class _AppliedMetadata(_Struct, frozen=True):
    name: str = ""
    uid: str = ""


class _Applied(_Struct, frozen=True):
    metadata: _AppliedMetadata = _AppliedMetadata()
    status: _AppliedStatus = _AppliedStatus()

    @property
    def origin(self) -> str | None:
        return names.origin(self.metadata.name, self.metadata.uid) if self.metadata.uid else None


def _applied(text: str) -> _Applied:
    try:
        return msgspec.json.decode(text, type=_Applied) if '"status"' in text else _Applied()
    except msgspec.MsgspecError:
        return _Applied()  # somebody has edited it; it is kubectl's, not ours


class RestoreLabels(msgspec.Struct, frozen=True, rename={"velero": names.LABEL_VELERO_RESTORE}):
    """What the labels of a run or a record tell of a restore."""

    velero: str | None = None


class RunMetadata(Metadata, frozen=True):
    """Identity of a run."""

    annotations: RunAnnotations = RunAnnotations()
    labels: RestoreLabels = RestoreLabels()

    @property
    def origin_uid(self) -> str:
        """The UID from which names of children follow: the first one, where the run was restored from a backup."""
        name, _, uid = (self.annotations.origin or "").partition("/")
        return uid if uid and name == self.name else self.uid


_NOT_KEPT: Final = msgspec.Raw()


class TaskRun(_Struct, frozen=True):
    """One piece of work."""

    metadata: RunMetadata
    spec: TaskRunSpec
    status: TaskRunStatus = TaskRunStatus()

    def __post_init__(self) -> None:
        """Keep the input only if it is small and still of use."""
        is_kept = len(self.spec.input) <= KEPT_INPUT_BYTES and self.status.phase not in FINISHED
        # A copy: as it was decoded it is a view that holds everything that was read together with it.
        kept = self.spec.input.copy() if is_kept else _NOT_KEPT
        msgspec.structs.force_setattr(self, "spec", msgspec.structs.replace(self.spec, input=kept))


# --- ConfigMap podrelay-settings -------------------------------------------------------------------------------------


class SettingsData(_Struct, frozen=True):
    """What is set, as it was written: a ConfigMap holds nothing but text."""

    retention_days: str | None = None


class NamespaceSettings(_Struct, frozen=True):
    """The settings of a namespace."""

    metadata: Metadata
    data: SettingsData = SettingsData()


class Named(_Struct, frozen=True):
    """An object of which nothing matters but that it is there, and has changed."""

    metadata: Metadata


# --- TaskDefinition --------------------------------------------------------------------------------------------------


class RetryPolicy(_Struct, frozen=True):
    """Whether and when a failed try is repeated."""

    limit: int = 0
    initial_seconds: int = 10
    factor: float = 2.0
    max_seconds: int = 600
    on: tuple[str, ...] = ("Error", "PodFailure", "Timeout")


class Concurrency(_Struct, frozen=True):
    """How many runs with one value of an input field may have a pod at once."""

    key: str
    limit: int = 1


class HistoryLimit(_Struct, frozen=True):
    """How much is kept of what has ended."""

    iterations: int = 20
    runs: int = 1000


class TaskDefinitionSpec(_Struct, frozen=True):
    """What can run and how its pods are made."""

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
    max_children: int = 1000
    suspend: bool = False
    ttl_seconds_after_finished: int | None = None
    history_limit: HistoryLimit = HistoryLimit()
    pod_cleanup: str = "OnSuccess"
    reporting: str = names.REPORTING_API
    input_schema: dict[str, Any] | None = None


class TaskDefinitionStatus(_Struct, frozen=True):
    """What the operator found out about a definition."""

    observed_generation: int | None = None
    conditions: tuple[Condition, ...] = ()
    active_runs: int | None = None
    queued_runs: int | None = None


class DefinitionAnnotations(
    msgspec.Struct,
    frozen=True,
    rename={"created_by": names.ANNOTATION_CREATED_BY, "changed_by": names.ANNOTATION_CHANGED_BY},
):
    """What a definition's annotations tell of it."""

    created_by: str | None = None
    changed_by: str | None = None


class DefinitionMetadata(Metadata, frozen=True):
    """Identity of a definition."""

    annotations: DefinitionAnnotations = DefinitionAnnotations()


class TaskDefinition(_Struct, frozen=True):
    """What can run."""

    metadata: DefinitionMetadata
    spec: TaskDefinitionSpec
    status: TaskDefinitionStatus = TaskDefinitionStatus()


# --- TaskIteration ---------------------------------------------------------------------------------------------------


class ResponseError(TaskError, frozen=True):
    """Why a task failed, and whether there is more to say about it."""

    data: Present | None = None


class WaitForChildren(_Struct, frozen=True):
    """What a run waits for before its next iteration: its children, of one definition or all."""

    definition: Annotated[str, msgspec.Meta(max_length=63, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")] | None = None


class Response(_Struct, frozen=True):
    """The head of an answer."""

    status: str
    message: str | None = None
    wait_seconds: float | None = None
    wait_until: datetime | None = None
    wait_for_children: WaitForChildren | None = None
    error: ResponseError | None = None
    retryable: bool | None = None
    retry_after_seconds: float | None = None
    refusal: str | None = None
    output: Present | None = None

    @property
    def has_result(self) -> bool:
        """Whether there is anything in it that belongs into the status of the run, but is not kept here."""
        return self.output is not None or (self.error is not None and self.error.data is not None)


_Text = Annotated[str, msgspec.Meta(max_length=limits.MESSAGE_LENGTH)]


class StorableError(_Struct, frozen=True, forbid_unknown_fields=True):
    """An error as the schema of records takes it."""

    message: _Text
    code: Annotated[str, msgspec.Meta(max_length=256)] | None = None
    data: dict[str, Any] | None = None


class StorableResponse(_Struct, frozen=True, forbid_unknown_fields=True):
    """A whole answer as the schema of records takes it: for answers that have not been through the API server."""

    status: Literal["done", "continue", "error", "aborted"]
    message: _Text | None = None
    output: dict[str, Any] | None = None
    input: dict[str, Any] | None = None
    wait_seconds: Annotated[float, msgspec.Meta(ge=0, le=limits.MAX_WAIT_SECONDS)] | None = None
    wait_until: Annotated[datetime, msgspec.Meta(tz=True)] | None = None
    wait_for_children: WaitForChildren | None = None
    error: StorableError | None = None
    retryable: bool | None = None
    retry_after_seconds: Annotated[float, msgspec.Meta(ge=0, le=limits.MAX_WAIT_SECONDS)] | None = None


class UndeliveredResponse(StorableResponse, frozen=True):
    """An answer of our own runner that it could not store: also one before run() was called."""

    refusal: Literal["InvalidInput", "Rejected"] | None = None


class RecordAnnotations(msgspec.Struct, frozen=True, rename={"cause": names.ANNOTATION_CAUSE}):
    """What the operator notes on a record that it writes for a pod."""

    cause: str | None = None


class RecordMetadata(Metadata, frozen=True):
    """Identity of a record, and who wrote its response."""

    annotations: RecordAnnotations = RecordAnnotations()
    labels: RestoreLabels = RestoreLabels()


class Record(_Struct, frozen=True):
    """The record of one try, without its payloads."""

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
    checkpoint: Present | None = None
    progress: Progress | None = None
    hook: str | None = None
    heartbeat_at: datetime | None = None
    hooks: tuple[HookOutcome, ...] = ()


# --- Pod -------------------------------------------------------------------------------------------------------------


class PodAnnotations(
    msgspec.Struct,
    frozen=True,
    rename={
        "iteration_timeout": names.ANNOTATION_ITERATION_TIMEOUT,
        "pending_timeout": names.ANNOTATION_PENDING_TIMEOUT,
        "node_lost_timeout": names.ANNOTATION_NODE_LOST_TIMEOUT,
        "heartbeat_timeout": names.ANNOTATION_HEARTBEAT_TIMEOUT,
        "pod_cleanup": names.ANNOTATION_POD_CLEANUP,
        "container": names.ANNOTATION_CONTAINER,
        "ending_since": names.ANNOTATION_ENDING_SINCE,
        "ending_reason": names.ANNOTATION_ENDING_REASON,
        "reporting": names.ANNOTATION_REPORTING,
        "template_hash": names.ANNOTATION_TEMPLATE_HASH,
    },
):
    """What a pod carries with it of the definition that it was made from, and since when and why it is being ended."""

    iteration_timeout: str = "900"
    pending_timeout: str = "900"
    node_lost_timeout: str = "600"
    heartbeat_timeout: str | None = None
    pod_cleanup: str = "OnSuccess"
    container: str = names.TASK_CONTAINER
    ending_since: str | None = None
    ending_reason: str | None = None
    reporting: str = names.REPORTING_API
    template_hash: str | None = None

    def __post_init__(self) -> None:
        """Take the default for what somebody has edited to nonsense: the pod must not be out of control for it."""
        for field, default in _DEFAULT_SECONDS.items():
            value = getattr(self, field)
            if value != default and not _is_seconds(value):
                msgspec.structs.force_setattr(self, field, default)
        if self.ending_since is not None and not _is_moment(self.ending_since):
            msgspec.structs.force_setattr(self, "ending_since", None)


_DEFAULT_SECONDS: Final = {
    "iteration_timeout": "900",
    "pending_timeout": "900",
    "node_lost_timeout": "600",
    "heartbeat_timeout": None,
}


def _is_seconds(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 9


def _is_moment(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False


class PodMetadata(Metadata, frozen=True):
    """Identity of a pod."""

    labels: dict[str, str] = {}
    annotations: PodAnnotations = PodAnnotations()
    finalizers: tuple[str, ...] = ()


class ContainerWaiting(_Struct, frozen=True):
    """A container that has not started."""

    reason: str = ""
    message: str = ""


class ContainerRunning(_Struct, frozen=True):
    """A container that runs."""

    started_at: datetime | None = None


class ContainerTerminated(_Struct, frozen=True):
    """A container that has ended."""

    exit_code: int = 0
    signal: int = 0
    reason: str = ""
    message: str = ""
    started_at: datetime | None = None
    finished_at: datetime | None = None


class ContainerState(_Struct, frozen=True):
    """Exactly one of the three, or none for a container that nobody has looked at yet."""

    waiting: ContainerWaiting | None = None
    running: ContainerRunning | None = None
    terminated: ContainerTerminated | None = None


class ContainerStatus(_Struct, frozen=True):
    """What the kubelet says about a container."""

    name: str
    image: str = ""
    state: ContainerState = ContainerState()


class PodCondition(_Struct, frozen=True):
    """One aspect of a pod's state."""

    type: str
    status: str
    reason: str = ""
    message: str = ""


class SchedulingGate(_Struct, frozen=True):
    """Something that has to happen before a pod may be scheduled."""

    name: str


class Limits(_Struct, frozen=True):
    """How much a container may use at most."""

    memory: str | None = None


class ContainerResources(_Struct, frozen=True):
    """What a container may use."""

    limits: Limits | None = None


class Container(_Struct, frozen=True):
    """What matters of a container's spec."""

    name: str
    resources: ContainerResources | None = None


class PodSpec(_Struct, frozen=True):
    """What matters of a pod's spec."""

    containers: tuple[Container, ...] = ()
    node_name: str = ""
    active_deadline_seconds: int | None = None
    termination_grace_period_seconds: int = 30
    scheduling_gates: tuple[SchedulingGate, ...] = ()


class PodStatus(_Struct, frozen=True):
    """What the cluster says about a pod."""

    phase: str = "Pending"
    reason: str = ""
    message: str = ""
    start_time: datetime | None = None
    conditions: tuple[PodCondition, ...] = ()
    container_statuses: tuple[ContainerStatus, ...] = ()
    init_container_statuses: tuple[ContainerStatus, ...] = ()


class Pod(_Struct, frozen=True):
    """One pod of a run."""

    metadata: PodMetadata
    spec: PodSpec = PodSpec()
    status: PodStatus = PodStatus()

    @property
    def task(self) -> ContainerState:
        """State of the container that does the work."""
        name = self.metadata.annotations.container
        return next(
            (status.state for status in self.status.container_statuses if status.name == name), ContainerState()
        )

    @property
    def image(self) -> str:
        """Image of the container that does the work, as far as a kubelet has said."""
        name = self.metadata.annotations.container
        return next((status.image for status in self.status.container_statuses if status.name == name), "")

    @property
    def memory_limit(self) -> str | None:
        """How much memory the container that does the work may use; None: nothing limits it alone."""
        name = self.metadata.annotations.container
        resources = next((item.resources for item in self.spec.containers if item.name == name), None)
        return resources.limits.memory if resources is not None and resources.limits is not None else None

    @property
    def is_unclaimed(self) -> bool:
        """Whether the pod waits for the operator to say that it is the one that may run."""
        return any(gate.name == names.CLAIM_GATE for gate in self.spec.scheduling_gates)

    @property
    def reports_by_message(self) -> bool:
        """Whether the pod answers with its termination message."""
        return self.metadata.annotations.reporting == names.REPORTING_TERMINATION_MESSAGE

    @property
    def pending_deadline(self) -> datetime:
        """Until when the pod has to have started."""
        seconds = int(self.metadata.annotations.pending_timeout)
        return self.metadata.creation_timestamp + timedelta(seconds=seconds)

    @property
    def is_terminal(self) -> bool:
        """Whether the pod has ended for good."""
        return self.status.phase in {"Succeeded", "Failed"}

    @property
    def has_started(self) -> bool:
        """Whether the container that does the work has ever run, as far as anybody said."""
        terminated = self.task.terminated
        # A container that never was is reported as terminated too when its pod is deleted, but without a start.
        return self.task.running is not None or (terminated is not None and terminated.started_at is not None)

    @property
    def is_released(self) -> bool:
        """Whether the container that does the work cannot run any more."""
        return self.is_terminal or self.task.terminated is not None or self._is_discarded

    @property
    def _is_discarded(self) -> bool:
        """Whether the pod was deleted before any node had it: only finalizers keep it."""
        return self.metadata.deletion_timestamp is not None and not self.spec.node_name

    @property
    def is_held(self) -> bool:
        """Whether our finalizer keeps the pod."""
        return names.ANSWER_FINALIZER in self.metadata.finalizers

    @property
    def is_force_deleted(self) -> bool:
        """Whether the pod was deleted without a grace period while its container may run.

        A kubelet ends a deletion in the same way, but not before it has reported the end of the container.
        """
        is_forced = self.metadata.deletion_timestamp is not None and not self.metadata.deletion_grace_period_seconds
        return is_forced and not self.is_released
