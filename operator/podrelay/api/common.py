"""What the resource models share: the base class, field types with their limits, conditions.

The docstrings of fields become the descriptions in the CRDs, so they are written for someone who reads
`kubectl explain`.
"""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from podrelay.api import limits


class Model(BaseModel):
    """Base of every part of a resource: camelCase outside, snake_case inside, immutable."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        use_attribute_docstrings=True,
        frozen=True,
        extra="forbid",
    )

    born: ClassVar[Mapping[str, Any]] = {"observedGeneration": -1}
    """The status of an object that no operator has seen: tools that go by kstatus take one without for all well."""


def extension(**keys: Any) -> Any:
    """Return a Field that adds Kubernetes' own schema keys; `list_type="map"` becomes `x-kubernetes-list-type: map`."""
    return Field(json_schema_extra={f"x-kubernetes-{key.replace('_', '-')}": value for key, value in keys.items()})


def cel(*rules: tuple[str, str]) -> dict[str, Any]:
    """Return the schema key for CEL rules, each given as (rule, the message that kubectl prints)."""
    return {"x-kubernetes-validations": [{"rule": rule, "message": message} for rule, message in rules]}


Payload = Annotated[dict[str, Any], extension(preserve_unknown_fields=True, map_type="atomic")]
"""A JSON object of a user's own shape, at most 256 KiB. Atomic: managedFields would grow with each key otherwise."""

OpenObject = Annotated[dict[str, Any], extension(preserve_unknown_fields=True)]
"""A JSON object whose schema is somebody else's, such as a pod template."""

ResourceName = Annotated[str, Field(min_length=1, max_length=63, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")]
ObjectName = Annotated[str, Field(min_length=1, max_length=253)]
UID = Annotated[str, Field(max_length=64)]
Message = Annotated[str, Field(max_length=limits.MESSAGE_LENGTH)]
Reason = Annotated[str, Field(max_length=128, pattern=r"^([A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?)?$")]
_DAY = r"((0[13578]|1[02])-(0[1-9]|[12]\d|3[01])|(0[469]|11)-(0[1-9]|[12]\d|30)|02-(0[1-9]|1\d|2[0-8]))"
_LEAP_YEAR = r"([12]\d(0[48]|[2468][048]|[13579][26])|(12|16|20|24|28)00)"
_TIME = r"T([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,9})?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)"
# A pattern alone, for all of the calendar. With `format: date-time` CEL would make a time of the text before comparing
# it, and a rule about dates would be asked again with each write of the status: a stored one that CEL cannot read would
# refuse every update, the removal of a finalizer included. Unchanged fields are not held to a pattern again.
Timestamp = Annotated[str, Field(max_length=40, pattern=rf"^([12]\d{{3}}-{_DAY}|{_LEAP_YEAR}-02-29){_TIME}$")]
"""RFC 3339 as people and pods may say it: with upper-case T and Z, in the years 1000 to 2999."""
OwnTimestamp = Annotated[str, Field(max_length=40, pattern=rf"^\d{{4}}-\d\d-\d\d{_TIME}$")]
"""The same in a status: a time that follows from theirs, such as 355 days after it, must not be refused."""
Count = Annotated[int, Field(ge=0, le=2**31 - 1)]
Seconds = Annotated[int, Field(ge=1, le=limits.MAX_WAIT_SECONDS)]

HookName = Literal["onBeforeTrigger", "onDone", "onError", "onAbort", "onMaxIterations"]


class Condition(Model):
    """One aspect of a resource's state, in the form that all Kubernetes tools read."""

    type: Annotated[str, Field(max_length=64)]
    """Name of the condition."""
    status: Literal["True", "False", "Unknown"]
    """Whether it holds."""
    reason: Annotated[str, Field(min_length=1, max_length=128)]
    """Why, in one CamelCase word for programs."""
    message: Message = ""
    """Why, in words for people."""
    last_transition_time: OwnTimestamp
    """When the status changed last."""
    observed_generation: Annotated[int, Field(ge=0)] | None = None
    """The metadata.generation that this condition was derived from."""


Conditions = Annotated[list[Condition], Field(max_length=16), extension(list_type="map", list_map_keys=["type"])]


class TaskError(Model):
    """Why a task failed."""

    message: Message
    """What happened, for people."""
    code: Annotated[str, Field(max_length=256)] | None = None
    """What happened, for programs: the code that the task gave, or the exception's class."""
    data: Payload | None = None
    """Whatever else the task tells about the error."""


class HookOutcome(Model):
    """How one lifecycle hook ended."""

    name: HookName
    """Which hook."""
    outcome: Literal["Succeeded", "Failed"]
    """A hook that throws is shown here and changes nothing else."""
    message: Annotated[str, Field(max_length=limits.HOOK_MESSAGE_LENGTH)] | None = None
    """What a failed hook said."""


HookOutcomes = Annotated[list[HookOutcome], Field(max_length=8), extension(list_type="map", list_map_keys=["name"])]


class Progress(Model):
    """How far a task says it has come."""

    percent: Annotated[float, Field(ge=0, le=100)] | None = None
    """0 to 100; absent where the task does not know its total."""
    message: Annotated[str, Field(max_length=256)] | None = None
    """The task's own words."""
    at: Timestamp | None = None
    """When the task said so."""
