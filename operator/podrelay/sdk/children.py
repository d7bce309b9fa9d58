"""What a task asks for when it starts a child: checked before anything is sent."""

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
        name: the child's name for people, or None.
        delay_seconds: whole seconds from its creation to its start, or None.
        start_at: when it starts, in UTC, or None.
        key: what makes the child the same one for every call with it, or None.
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
        TypeError: `definition` is no text and no class of a task, or `start_at` is no datetime.
        ValueError: `definition` can be the name of none, or `delay` is no whole number of seconds from 0 to 355 days,
            or given together with `start_at`.
        PayloadError: the input cannot be stored.
    """
    # As it will be stored: the child's name follows from it, also in a try that has it from a checkpoint.
    input = numbers.loads(limits.check_payload(input, "input"))
    if delay is not None and start_at is not None:
        raise ValueError("delay and start_at exclude each other")
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
        TypeError: it is neither.
        ValueError: a text that can be the name of none.
    """
    wanted = definition if isinstance(definition, str) else getattr(definition, "id", None)
    if not isinstance(wanted, str):
        raise TypeError(f"definition must be an id, a name or a class of a task, not {type(definition).__name__}")
    if names.is_camel_case(wanted):
        return names.definition_name(wanted)
    if _KEBAB_CASE.fullmatch(wanted):
        return wanted
    raise ValueError(f'"{wanted}" is no task; write its id, such as importProducts, or its name, import-products')


def _whole_seconds(delay: Any) -> int:
    if isinstance(delay, int) and not isinstance(delay, bool) and 0 <= delay <= limits.MAX_WAIT_SECONDS:
        return delay
    raise ValueError(f"delay must be a whole number of seconds from 0 to {limits.MAX_WAIT_SECONDS}, not {delay!r}")


def _utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
