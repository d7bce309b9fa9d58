"""What a run, or a schedule for its runs, overrides of its definition."""

from typing import Any

from podrelay.operator.objects.metadata import Projection


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
