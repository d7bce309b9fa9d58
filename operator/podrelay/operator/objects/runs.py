"""TaskRuns. Small inputs of unfinished runs are kept, so that a plan does not have to read them again."""

from datetime import datetime
from typing import Final, TypedDict, Unpack

import msgspec

from podrelay.api import names
from podrelay.api.phases import FINISHED
from podrelay.operator.objects.answers import Progress, TaskError
from podrelay.operator.objects.metadata import Condition, Projection
from podrelay.operator.objects.overrides import Overrides
from podrelay.operator.objects.records import HookOutcome
from podrelay.operator.objects.run_metadata import RunMetadata

KEPT_INPUT_BYTES: Final = 2048
"""Inputs up to this size, as JSON, are kept: most inputs are small, and reading one again costs more than a plan."""


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


class RecentIteration(Projection, frozen=True):
    """The summary of an attempt that has ended."""

    iteration: int
    try_: int = msgspec.field(name="try")
    pod_name: str
    answer: str
    started_at: datetime | None = None
    finished_at: datetime | None = None
    message: str | None = None


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
