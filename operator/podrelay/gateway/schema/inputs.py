"""Arguments of lists, generated from the tables of fields: `where` with each field and operator, and the sorters."""

from collections.abc import Iterator, Mapping
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast

import strawberry

from podrelay.gateway.cache import Collection
from podrelay.gateway.objects import Definition, Run
from podrelay.gateway.query.fields import LOG_SORTERS, TASK_SORTERS, Field, Kind, log_fields, task_fields
from podrelay.gateway.query.filters import LISTS, OPERATORS, Condition
from podrelay.gateway.query.listing import ITEM_FIELDS
from podrelay.gateway.query.sorting import sorter_names
from podrelay.gateway.schema.scalars import DateTime, Number

_TASK_FIELDS: Final = task_fields(Collection[Definition]())
_LOG_FIELDS: Final = log_fields(Collection[Run]())

_LIST: Final[Any] = list
_SCALARS: Final[Mapping[Kind, Any]] = {
    Kind.ID: strawberry.ID,
    Kind.WORD: str,
    Kind.TEXT: str,
    Kind.NUMBER: Number,
    Kind.META_DATE: DateTime,
    Kind.DATE: DateTime,
}


def _conditions(fields: Mapping[str, Field[Any]]) -> dict[str, tuple[str, str]]:
    """Return the name of each entry of `where`, with its field and operator."""
    return {
        Condition(name, operator, None).key: (name, operator)
        for name, field in fields.items()
        for operator in OPERATORS[field.kind]
    }


def _where(name: str, description: str, fields: Mapping[str, Field[Any]], **further: Any) -> Any:
    """Return an input type with an entry for each field and operator."""
    annotations: dict[str, Any] = {}
    for key, (field, operator) in _conditions(fields).items():
        scalar: Any = _SCALARS[fields[field].kind]
        # Nullable items, so that variables of either type fit, as in Webiny.
        annotations[key] = (_LIST[scalar | None] | None) if operator in LISTS else (scalar | None)
    annotations |= {key: kind | None for key, kind in further.items()}
    members = {key: strawberry.field(name=key, default=strawberry.UNSET) for key in annotations}
    made = type(name, (), {**members, "__annotations__": annotations, "__doc__": description})
    return strawberry.input(made, name=name, description=description)


def _sorter(name: str, members: list[str]) -> Any:
    # The functional form of Enum, because the members come from a table.
    return strawberry.enum(cast("Any", Enum)(name, {member: member for member in members}))


if TYPE_CHECKING:
    TaskWhere: TypeAlias = Any
    TaskSorter: TypeAlias = Any
    LogWhere: TypeAlias = Any
    LogSorter: TypeAlias = Any
else:
    TaskWhere = _where("WebinyBackgroundTaskListWhereInput", "Selects tasks. All entries must match.", _TASK_FIELDS)
    TaskSorter = _sorter("WebinyBackgroundTaskListSorter", sorter_names(_TASK_FIELDS, TASK_SORTERS))
    _LogItemWhere = _where(
        "WebinyBackgroundTaskLogItemWhereInput",
        "Selects logs by their lines: a single line must match all entries.",
        ITEM_FIELDS,
    )
    LogWhere = _where(
        "WebinyBackgroundTaskLogListWhereInput",
        "Selects logs. All entries must match.",
        _LOG_FIELDS,
        items=_LogItemWhere,
    )
    LogSorter = _sorter("WebinyBackgroundTaskLogListSorter", sorter_names(_LOG_FIELDS, LOG_SORTERS))


def task_conditions(where: Any) -> list[Condition]:
    """Return the conditions in `where` of tasks."""
    return [*_conditions_in(where, _TASK_FIELDS)]


def log_conditions(where: Any) -> list[Condition]:
    """Return the conditions for logs in `where` of logs."""
    return [*_conditions_in(where, _LOG_FIELDS)]


def item_conditions(where: Any) -> list[Condition]:
    """Return the conditions for lines in `where` of logs."""
    items = getattr(where, "items", None) if where else None
    return [*_conditions_in(items, ITEM_FIELDS)]


def sorters(sort: Any) -> list[str]:
    """Return the names of sorters."""
    return [member.value for member in sort or ()]


def _conditions_in(where: Any, fields: Mapping[str, Field[Any]]) -> Iterator[Condition]:
    if not where:
        return
    for key, (field, operator) in _conditions(fields).items():
        value = getattr(where, key)
        if value is not strawberry.UNSET:
            yield Condition(field, operator, value)
