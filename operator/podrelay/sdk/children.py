"""The request to start a child; it is validated before anything is sent."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from podrelay.api import wanted_run
from podrelay.api.wanted_run import WantedRun

if TYPE_CHECKING:
    from podrelay.sdk.definition import TaskDefinition


def wanted_child(
    definition: "str | type[TaskDefinition]",
    input: dict[str, Any],
    *,
    name: str | None = None,
    delay: float | timedelta | None = None,
    start_at: datetime | None = None,
    key: str | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> WantedRun:
    """Return the child that `controller.task.trigger` was asked for with these arguments.

    Raises:
        TypeError: `definition` is neither a string nor a task class, or `start_at` is not a datetime.
        InvalidRunError: an argument is invalid; it is a ValueError.
        PayloadError: the input cannot be stored.
    """
    if start_at is not None and not isinstance(start_at, datetime):
        raise TypeError(f"start_at must be a datetime, not {type(start_at).__name__}")
    return wanted_run.wanted_run(
        _ident(definition), input, name=name, delay=delay, start_at=start_at, key=key, overrides=overrides
    )


def definition_name(definition: "str | type[TaskDefinition]") -> str:
    """Return the name of a TaskDefinition for its id, its name, or its class.

    Raises:
        TypeError: it is neither a string nor the class of a task.
        InvalidRunError: no TaskDefinition can have this id or name; it is a ValueError.
    """
    return wanted_run.definition_name(_ident(definition))


def _ident(definition: "str | type[TaskDefinition]") -> str:
    ident = definition if isinstance(definition, str) else getattr(definition, "id", None)
    if not isinstance(ident, str):
        raise TypeError(f"definition must be an id, a name or a class of a task, not {type(definition).__name__}")
    return ident
