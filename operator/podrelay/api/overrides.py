"""spec.overrides of a TaskRun: settings of its definition that are different for one run."""

from typing import Annotated, Literal

from pydantic import AfterValidator, ConfigDict, Field, WithJsonSchema

from podrelay.api import limits, override_rules
from podrelay.api.common import Model, Seconds, cel, extension

AllowedOverride = Annotated[
    str, Field(min_length=3, max_length=override_rules.NAME_LENGTH + len("env."), pattern=override_rules.ALLOWED)
]
"""The name of a field of Overrides, or env.NAME for one environment variable."""

Quantity = Annotated[
    int | Annotated[str, Field(max_length=64, pattern=override_rules.QUANTITY)],
    # As in the spec of a pod: 2 and "2" are the same amount.
    WithJsonSchema({"pattern": override_rules.QUANTITY, "maxLength": 64, "x-kubernetes-int-or-string": True}),
]
"""An amount of a resource, for example 500m, 2 or 4Gi."""
Quantities = Annotated[dict[str, Quantity], Field(max_length=32)]
Label = Annotated[str, Field(max_length=63)]


def _free_name(name: str) -> str:
    if name.startswith(override_rules.RESERVED):
        raise ValueError(override_rules.RESERVED_MESSAGE)
    return name


class ResourceOverrides(Model):
    """Requests and limits of the task's container."""

    requests: Quantities | None = None
    """Amounts to request, by resource."""
    limits: Quantities | None = None
    """Amounts that the container may use at most, by resource."""


class Variable(Model):
    """An environment variable of the task's container."""

    model_config = ConfigDict(
        json_schema_extra=cel(
            (
                " && ".join(f"!self.name.startsWith('{prefix}')" for prefix in override_rules.RESERVED),
                override_rules.RESERVED_MESSAGE,
            ),
        )
    )

    name: Annotated[
        str,
        Field(min_length=1, max_length=override_rules.NAME_LENGTH, pattern=override_rules.VARIABLE),
        AfterValidator(_free_name),
    ]
    """Name of the variable. Names that begin with PODRELAY_ or KUBERNETES_ are reserved."""
    value: Annotated[str, Field(max_length=32 * limits.KIB)]
    """Value of the variable. It is used as it is: $(OTHER) is not replaced."""


class Toleration(Model):
    """A toleration of the pods, as in the spec of a pod."""

    key: Annotated[str, Field(max_length=316)] | None = None
    """Key of the taint; absent with operator Exists: all taints."""
    operator: Literal["Exists", "Equal"] | None = None
    """Exists or Equal, the default."""
    value: Label | None = None
    """Value of the taint."""
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None
    """Effect of the taint; absent: all effects."""
    toleration_seconds: Annotated[int, Field(ge=0, le=315_360_000)] | None = None
    """With effect NoExecute: how long the taint is tolerated; absent: forever."""


class TimeoutOverrides(Model):
    """Timeouts, with the same names as in the definition."""

    iteration_timeout_seconds: Seconds | None = None
    """Maximum duration of an iteration."""
    pending_timeout_seconds: Seconds | None = None
    """How long a pod may fail to start before the attempt counts as failed."""
    abort_grace_period_seconds: Annotated[int, Field(ge=1, le=86_400)] | None = None
    """Time for the task to clean up after SIGTERM."""
    heartbeat_timeout_seconds: Annotated[int, Field(ge=5, le=limits.MAX_WAIT_SECONDS)] | None = None
    """End an iteration without a heartbeat for this long. Has no effect with reporting TerminationMessage."""


class RetryOverrides(Model):
    """Fields of the definition's retry policy; those that are absent apply as they are there."""

    limit: Annotated[int, Field(ge=0, le=100)] | None = None
    """Maximum number of retries of an iteration after failures."""
    initial_seconds: Annotated[int, Field(ge=0, le=86_400)] | None = None
    """Delay before the first retry."""
    factor: Annotated[float, Field(ge=1, le=10)] | None = None
    """Factor by which the delay grows with each further retry."""
    max_seconds: Annotated[int, Field(ge=0, le=86_400)] | None = None
    """Maximum delay between two attempts."""
    on: (
        Annotated[list[Literal["Error", "PodFailure", "Timeout"]], Field(max_length=3), extension(list_type="set")]
        | None
    ) = None
    """Which failures are retried."""


class Overrides(Model):
    """Settings of the definition that are different for this run."""

    resources: ResourceOverrides | None = None
    """Requests and limits of the task's container, merged by resource over those of the template."""
    env: Annotated[list[Variable], Field(max_length=100), extension(list_type="map", list_map_keys=["name"])] | None = (
        None
    )
    """Environment variables of the task's container, merged by name over those of the template."""
    node_selector: Annotated[dict[str, Label], Field(max_length=32)] | None = None
    """Labels that the node must have, merged over those of the template."""
    tolerations: Annotated[list[Toleration], Field(max_length=32), extension(list_type="atomic")] | None = None
    """Tolerations of the pods, in addition to those of the template."""
    priority_class_name: Annotated[str, Field(min_length=1, max_length=253)] | None = None
    """Name of the PriorityClass of the pods."""
    timeouts: TimeoutOverrides | None = None
    """Timeouts of the run."""
    retry: RetryOverrides | None = None
    """Fields of the retry policy."""
    max_iterations: Annotated[int, Field(ge=1, le=limits.MAX_ITERATIONS)] | None = None
    """Maximum number of iterations of the run."""
