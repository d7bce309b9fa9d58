"""Shared parts of the resource models: the base class, field types with their limits, conditions.

The docstrings of fields become the descriptions in the CRDs, so they are written for users of `kubectl explain`.
"""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from podrelay.api import limits, names


class Model(BaseModel):
    """Base class of every part of a resource: camelCase in JSON, snake_case in Python, immutable."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        use_attribute_docstrings=True,
        frozen=True,
        extra="forbid",
    )

    born: ClassVar[Mapping[str, Any]] = {"observedGeneration": -1}
    """Status of an object that no operator has seen; without it, kstatus tools would report the object as ready."""


def extension(**keys: Any) -> Any:
    """Return a Field with Kubernetes schema extensions: `list_type="map"` becomes `x-kubernetes-list-type: map`."""
    return Field(json_schema_extra={f"x-kubernetes-{key.replace('_', '-')}": value for key, value in keys.items()})


def cel(*rules: tuple[str, str]) -> dict[str, Any]:
    """Return the schema extension for CEL rules, each given as (rule, the message that kubectl prints)."""
    return {"x-kubernetes-validations": [{"rule": rule, "message": message} for rule, message in rules]}


Payload = Annotated[dict[str, Any], extension(preserve_unknown_fields=True, map_type="atomic")]
"""A JSON object with any fields, at most 256 KiB. Atomic, because otherwise managedFields would grow with each key."""

OpenObject = Annotated[dict[str, Any], extension(preserve_unknown_fields=True)]
"""A JSON object with a schema that is not defined here, such as a pod template."""

ResourceName = Annotated[str, Field(min_length=1, max_length=63, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")]
ObjectName = Annotated[str, Field(min_length=1, max_length=253)]
UID = Annotated[str, Field(max_length=64)]
Message = Annotated[str, Field(max_length=limits.MESSAGE_LENGTH)]
Reason = Annotated[str, Field(max_length=128, pattern=r"^([A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?)?$")]
_DAY = r"((0[13578]|1[02])-(0[1-9]|[12]\d|3[01])|(0[469]|11)-(0[1-9]|[12]\d|30)|02-(0[1-9]|1\d|2[0-8]))"
_LEAP_YEAR = r"([12]\d(0[48]|[2468][048]|[13579][26])|(12|16|20|24|28)00)"
_TIME = r"T([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,9})?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)"
# Only a pattern, which covers the whole calendar. With `format: date-time`, CEL would parse the text before comparing
# it, and a rule about dates would be evaluated on every status write: a stored value that CEL cannot parse would make
# the API server reject every update, including the removal of a finalizer. Patterns are not checked again for
# unchanged fields.
Timestamp = Annotated[str, Field(max_length=40, pattern=rf"^([12]\d{{3}}-{_DAY}|{_LEAP_YEAR}-02-29){_TIME}$")]
"""RFC 3339 as users and pods may write it: with upper-case T and Z, in the years 1000 to 2999."""
OwnTimestamp = Annotated[str, Field(max_length=40, pattern=rf"^\d{{4}}-\d\d-\d\d{_TIME}$")]
"""The same for a status, with any year: a time derived from a Timestamp, such as 355 days later, must be valid."""
Count = Annotated[int, Field(ge=0, le=2**31 - 1)]
Seconds = Annotated[int, Field(ge=1, le=limits.MAX_WAIT_SECONDS)]

HookName = Literal["onBeforeTrigger", "onDone", "onError", "onAbort", "onMaxIterations"]

SignalName = Annotated[str, Field(min_length=1, max_length=63, pattern=names.SIGNAL_NAME)]


class Condition(Model):
    """One aspect of a resource's state, in the standard form of Kubernetes conditions."""

    type: Annotated[str, Field(max_length=64)]
    """Name of the condition."""
    status: Literal["True", "False", "Unknown"]
    """Status of the condition."""
    reason: Annotated[str, Field(min_length=1, max_length=128)]
    """Why the condition has this status, in one CamelCase word."""
    message: Message = ""
    """Why the condition has this status, in plain text."""
    last_transition_time: OwnTimestamp
    """When the status last changed."""
    observed_generation: Annotated[int, Field(ge=0)] | None = None
    """The metadata.generation that this condition was derived from."""


Conditions = Annotated[list[Condition], Field(max_length=16), extension(list_type="map", list_map_keys=["type"])]


class TaskError(Model):
    """Why a task failed."""

    message: Message
    """What happened, in plain text."""
    code: Annotated[str, Field(max_length=256)] | None = None
    """Machine-readable error code: the code that the task gave, or the exception's class."""
    data: Payload | None = None
    """Further data that the task gave about the error."""


class HookOutcome(Model):
    """Outcome of one lifecycle hook."""

    name: HookName
    """Name of the hook."""
    outcome: Literal["Succeeded", "Failed"]
    """Failed if the hook raised an exception. Only onBeforeTrigger changes the result of the run when it fails."""
    message: Annotated[str, Field(max_length=limits.HOOK_MESSAGE_LENGTH)] | None = None
    """Why the hook failed."""


HookOutcomes = Annotated[list[HookOutcome], Field(max_length=8), extension(list_type="map", list_map_keys=["name"])]


class Progress(Model):
    """Progress as reported by the task."""

    percent: Annotated[float, Field(ge=0, le=100)] | None = None
    """0 to 100; absent if the task does not know its total."""
    message: Annotated[str, Field(max_length=256)] | None = None
    """Progress in plain text, as given by the task."""
    at: Timestamp | None = None
    """When the task reported it."""
