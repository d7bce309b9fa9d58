"""TaskDefinitions, as far as the operator reads them."""

from typing import Any

import msgspec

from podrelay.api import names
from podrelay.operator.objects.metadata import Condition, Metadata, Projection


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
