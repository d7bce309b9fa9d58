"""The parts of each object that the gateway caches, for lists and filters: never payloads or log lines."""

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


class RunSpec(_Struct, frozen=True):
    """The spec of a run, without its input."""

    definition: str
    display_name: str | None = None
    parent: str | None = None
    suspend: bool = False
    start_at: datetime | None = None
    delay_seconds: int | None = None
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


class HookOutcome(_Struct, frozen=True):
    """A hook that has been called."""

    name: str


class Condition(_Struct, frozen=True):
    """When a condition of a run changed last."""

    last_transition_time: datetime


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
    hooks: tuple[HookOutcome, ...] = ()
    conditions: tuple[Condition, ...] = ()


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


class Present(_Struct, frozen=True):
    """A value that is present; its contents are not kept."""


class DefinitionSpec(_Struct, frozen=True):
    """The spec of a definition, without its template and schema."""

    id: str
    title: str
    description: str | None = None
    private: bool = False
    max_iterations: int = 50
    max_concurrent_runs: int | None = None
    hooks: tuple[str, ...] = ()
    input_schema: Present | None = None


class DefinitionStatus(_Struct, frozen=True):
    """The status of a definition, written by the operator."""

    active_runs: int | None = None
    queued_runs: int | None = None


class Definition(Cached, frozen=True):
    """A TaskDefinition."""

    spec: DefinitionSpec
    status: DefinitionStatus = DefinitionStatus()


class Response(_Struct, frozen=True):
    """The answer of one attempt, without payloads."""

    status: str
    message: str | None = None


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
    started_at: datetime | None = None
    finished_at: datetime | None = None
    response: Response | None = None
    logs: tuple[Present, ...] | None = None

    def __post_init__(self) -> None:
        """Keep only whether there are lines: 200 of them take as much memory as the rest of the record."""
        msgspec.structs.force_setattr(self, "logs", _SOME if self.logs else ())

    @property
    def run_key(self) -> Key:
        """Namespace and name of its run."""
        return Key(self.metadata.namespace, self.run_name)
