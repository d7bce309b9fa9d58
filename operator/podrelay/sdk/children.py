"""The request to start a child; it is validated before anything is sent."""

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from podrelay.api import limits, names, numbers

if TYPE_CHECKING:
    from podrelay.sdk.definition import TaskDefinition

_KEBAB_CASE: Final = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


class ChildRequest(NamedTuple):
    """One call of `controller.task.trigger`.

    Attributes:
        definition: name of the TaskDefinition, in kebab-case.
        input: a JSON object within the limits of payloads.
        name: the child's human-readable name, or None.
        delay_seconds: whole seconds from its creation to its start, or None.
        start_at: when it starts, in UTC, or None.
        key: all calls with the same key refer to the same child; or None.
    """

    definition: str
    input: dict[str, Any]
    name: str | None = None
    delay_seconds: int | None = None
    start_at: datetime | None = None
    key: str | None = None


def child_request(
    definition: "str | type[TaskDefinition]",
    input: dict[str, Any],
    *,
    name: str | None = None,
    delay: int | None = None,
    start_at: datetime | None = None,
    key: str | None = None,
) -> ChildRequest:
    """Return the request for a child; the arguments are those of `controller.task.trigger`.

    Raises:
        TypeError: `definition` is neither a string nor a task class, or `start_at` is not a datetime.
        ValueError: `definition` is not a valid name of a definition, or `delay` is not a whole number of seconds from 0
            to 355 days, or both `delay` and `start_at` are given.
        PayloadError: the input cannot be stored.
    """
    # As it will be stored: the child's name is derived from it, also in an attempt that reads it from a checkpoint.
    input = numbers.loads(limits.check_payload(input, "input"))
    if delay is not None and start_at is not None:
        raise ValueError("delay and start_at are mutually exclusive")
    if start_at is not None and not isinstance(start_at, datetime):
        raise TypeError(f"start_at must be a datetime, not {type(start_at).__name__}")
    return ChildRequest(
        definition_name(definition),
        input,
        name or None,
        None if delay is None else _whole_seconds(delay),
        None if start_at is None else _utc(start_at),
        key,
    )


def definition_name(definition: "str | type[TaskDefinition]") -> str:
    """Return the name of a TaskDefinition for its id, its name, or its class.

    Raises:
        TypeError: `definition` is of another type.
        ValueError: `definition` is a string, but not a valid id or name.
    """
    wanted = definition if isinstance(definition, str) else getattr(definition, "id", None)
    if not isinstance(wanted, str):
        raise TypeError(f"definition must be an id, a name or a class of a task, not {type(definition).__name__}")
    if names.is_camel_case(wanted):
        return names.definition_name(wanted)
    if _KEBAB_CASE.fullmatch(wanted):
        return wanted
    raise ValueError(f'"{wanted}" is not a task; use its id, such as importProducts, or its name, import-products')


def _whole_seconds(delay: Any) -> int:
    if isinstance(delay, int) and not isinstance(delay, bool) and 0 <= delay <= limits.MAX_WAIT_SECONDS:
        return delay
    raise ValueError(f"delay must be a whole number of seconds from 0 to {limits.MAX_WAIT_SECONDS}, not {delay!r}")


def _utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
