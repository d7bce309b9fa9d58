"""What the gateway keeps of each object: what lists show and filters ask for. Payloads and log lines are never kept."""

from datetime import datetime
from typing import Final

import msgspec

from podrelay.api import names
from podrelay.api.phases import FINISHED
from podrelay.kube.resources import Key


# Frozen, so that they cannot refer to each other in circles: the garbage collector need not look at them, and with
# 10,000 runs a look at all of them would keep every request waiting for 50 ms.
class _Struct(msgspec.Struct, rename="camel", frozen=True, gc=False):
    pass


class Annotations(_Struct, frozen=True):
    """The annotations that are shown."""

    created_by: str | None = msgspec.field(default=None, name=names.ANNOTATION_CREATED_BY)
    rerun_of: str | None = msgspec.field(default=None, name=names.ANNOTATION_RERUN_OF)


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
        """The resource version as a number, which grows with each write; 0 where it is none."""
        return int(self.resource_version) if self.resource_version.isdecimal() else 0


class Abort(_Struct, frozen=True):
    """Who has told a run to stop."""

    by: str | None = None


class RunSpec(_Struct, frozen=True):
    """What a run is to do, without its input."""

    definition: str
    display_name: str | None = None
    parent: str | None = None
    suspend: bool = False
    start_at: datetime | None = None
    delay_seconds: int | None = None
    abort: Abort | None = None


class CurrentPod(_Struct, frozen=True):
    """The pod that works now, or worked last."""

    pod_name: str
    iteration: int = 0


class TaskError(_Struct, frozen=True):
    """Why a run failed, without its data."""

    message: str
    code: str | None = None


class Progress(_Struct, frozen=True):
    """How far a task says it has come."""

    percent: float | None = None
    message: str | None = None
    at: datetime | None = None


class HookOutcome(_Struct, frozen=True):
    """A hook that has been called."""

    name: str


class Condition(_Struct, frozen=True):
    """When one aspect of a run changed last."""

    last_transition_time: datetime


class RunStatus(_Struct, frozen=True):
    """How far a run has come, without its output."""

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
    hooks: tuple[HookOutcome, ...] = ()
    conditions: tuple[Condition, ...] = ()


class Run(_Struct, frozen=True):
    """A TaskRun."""

    metadata: Metadata
    spec: RunSpec
    status: RunStatus = RunStatus()

    @property
    def key(self) -> Key:
        """Namespace and name."""
        return self.metadata.key

    @property
    def phase(self) -> str:
        """Pending also where the operator has not seen it yet."""
        return self.status.phase or "Pending"

    @property
    def is_finished(self) -> bool:
        """Whether its phase will never change again."""
        return self.status.phase in FINISHED


class Present(_Struct, frozen=True):
    """A value that is there, whatever is in it."""


class DefinitionSpec(_Struct, frozen=True):
    """What a task is, without its template and schema."""

    id: str
    title: str
    description: str | None = None
    private: bool = False
    max_iterations: int = 50
    max_concurrent_runs: int | None = None
    hooks: tuple[str, ...] = ()
    input_schema: Present | None = None


class DefinitionStatus(_Struct, frozen=True):
    """What the operator found out about a definition."""

    active_runs: int | None = None
    queued_runs: int | None = None


class Definition(_Struct, frozen=True):
    """A TaskDefinition."""

    metadata: Metadata
    spec: DefinitionSpec
    status: DefinitionStatus = DefinitionStatus()

    @property
    def key(self) -> Key:
        """Namespace and name."""
        return self.metadata.key


class Response(_Struct, frozen=True):
    """What one call of run() answered, without payloads."""

    status: str
    message: str | None = None


_SOME: Final = (Present(),)


class Record(_Struct, frozen=True):
    """The head of a TaskIteration: one try, without payloads and log lines.

    Attributes:
        logs: one for all log lines; empty where there are none, so that nobody need read them.
    """

    metadata: Metadata
    run_name: str
    iteration: int
    try_: int = msgspec.field(name="try")
    pod_name: str
    started_at: datetime | None = None
    finished_at: datetime | None = None
    response: Response | None = None
    logs: tuple[Present, ...] | None = None

    def __post_init__(self) -> None:
        """Forget how many lines there are: 200 of them take as much memory as all the rest."""
        msgspec.structs.force_setattr(self, "logs", _SOME if self.logs else ())

    @property
    def key(self) -> Key:
        """Namespace and name."""
        return self.metadata.key

    @property
    def run_key(self) -> Key:
        """Namespace and name of its run."""
        return Key(self.metadata.namespace, self.run_name)
