"""The fields of tasks and logs for filters, sorters and search: their kinds, and how to read them."""

import functools
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from enum import Enum
from typing import Any, Final, Generic, TypeVar

from podrelay.api import names
from podrelay.api.phases import STATUS_WORDS
from podrelay.gateway.cache import Collection, schedule_of
from podrelay.gateway.objects import Definition, Record, Run
from podrelay.kube.resources import Key

T = TypeVar("T")

UNKNOWN_USER: Final = "unknown"
_KEPT: Final = 4
"""Cached results; a gateway has one collection of each kind. A document may have 1,000 lists that need the fields."""

PHASES: Final = {word: phase for phase, word in STATUS_WORDS.items()}
"""The phase for each of Webiny's words."""
_DOCUMENTED_WORDS: Final = {"completed": "success", "stopped": "aborted"}
"""Statuses in Webiny's documentation and SDK that its backend never stores."""


class Kind(Enum):
    """The kind of a field's value. It determines the operators."""

    ID = "id"
    WORD = "word"
    TEXT = "text"
    NUMBER = "number"
    META_DATE = "metaDate"
    DATE = "date"


class Field(Generic[T]):
    """One field.

    Args:
        kind: the kind of its value.
        read: returns the value, or None.
        spell: converts the value of a filter to the spelling that `read` returns; dates without a time zone are in UTC.
    """

    def __init__(self, kind: Kind, read: Callable[[T], Any], spell: Callable[[Any], Any] | None = None) -> None:
        self.kind = kind
        self.read = read
        self.spell = spell or (in_utc if kind in {Kind.META_DATE, Kind.DATE} else lambda value: value)


def in_utc(moment: datetime) -> datetime:
    """Return a time from a query with a time zone; without one it is in UTC."""
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def saved_on(run: Run) -> datetime:
    """Return when a run changed last, according to its fields."""
    status = run.status
    times = [run.metadata.creation_timestamp, status.started_at, status.finished_at]
    times += [condition.last_transition_time for condition in status.conditions]
    times.append(status.progress.at if status.progress else None)
    return max(time for time in times if time is not None)


def task_name(run: Run, definitions: Collection[Definition]) -> str:
    """Return the display name of a run: its own, or its definition's title."""
    if run.spec.display_name:
        return run.spec.display_name
    definition = definitions.get(Key(run.metadata.namespace, run.spec.definition))
    return definition.spec.title if definition else run.spec.definition


def execution_name(run: Run) -> str:
    """Return the name of the current pod, or of the last one; empty before the first one."""
    return run.status.current.pod_name if run.status.current else ""


def _modified_on(run: Run) -> datetime | None:
    saved = saved_on(run)
    return saved if saved != run.metadata.creation_timestamp else None


def _spell_status(word: Any) -> Any:
    return _DOCUMENTED_WORDS.get(word, word)


def _nothing(_: Any) -> None:
    return None


_NEVER_DATES: Final = ("deletedOn", "restoredOn", "firstPublishedOn", "lastPublishedOn")
_NEVER_USERS: Final = ("modifiedBy", "savedBy", "deletedBy", "restoredBy", "firstPublishedBy", "lastPublishedBy")
"""Webiny's content model has these for every entry. A run is never published, and only the operator updates it."""


def _meta(
    ident: Callable[[T], str],
    created_on: Callable[[T], datetime],
    created_by: Callable[[T], str | None],
    saved_on: Callable[[T], datetime],
    modified_on: Callable[[T], datetime | None],
) -> dict[str, Field[T]]:
    """Return the fields that every entry in Webiny has, also as fields of the revision: a run has only one."""
    fields: dict[str, Field[T]] = {"id": Field(Kind.ID, ident), "entryId": Field(Kind.WORD, ident)}
    dates: dict[str, Callable[[T], datetime | None]] = {
        "createdOn": created_on,
        "savedOn": saved_on,
        "modifiedOn": modified_on,
        **dict.fromkeys(_NEVER_DATES, _nothing),
    }
    users: dict[str, Callable[[T], str | None]] = {"createdBy": created_by, **dict.fromkeys(_NEVER_USERS, _nothing)}
    for kind, found in ((Kind.META_DATE, dates), (Kind.ID, users)):
        for name, read in found.items():
            fields[name] = Field(kind, read)
            fields[f"revision{name[0].upper()}{name[1:]}"] = Field(kind, read)
    return fields | {"status": Field(Kind.WORD, lambda _: "draft")}


@functools.lru_cache(maxsize=_KEPT)
def task_fields(definitions: Collection[Definition]) -> Mapping[str, Field[Run]]:
    """Return the fields of tasks by name; a task without a display name has its definition's title."""
    return _meta(
        ident=lambda run: run.metadata.name,
        created_on=lambda run: run.metadata.creation_timestamp,
        created_by=lambda run: run.metadata.annotations.created_by,
        saved_on=saved_on,
        modified_on=_modified_on,
    ) | {
        "name": Field(Kind.TEXT, lambda run: task_name(run, definitions)),
        "definitionId": Field(Kind.TEXT, lambda run: names.definition_id(run.spec.definition), names.definition_id),
        "parentId": Field(Kind.TEXT, lambda run: run.spec.parent),
        "executionName": Field(Kind.TEXT, execution_name),
        "taskStatus": Field(Kind.TEXT, lambda run: STATUS_WORDS[run.phase], _spell_status),
        "iterations": Field(Kind.NUMBER, lambda run: run.status.iterations or 0),
        "startedOn": Field(Kind.DATE, lambda run: run.status.started_at),
        "finishedOn": Field(Kind.DATE, lambda run: run.status.finished_at),
        "reason": Field(Kind.TEXT, lambda run: run.status.reason),
        "namespace": Field(Kind.TEXT, lambda run: run.metadata.namespace),
        "scheduleId": Field(Kind.TEXT, schedule_of),
    }


@functools.lru_cache(maxsize=_KEPT)
def log_fields(runs: Collection[Run]) -> Mapping[str, Field[Record]]:
    """Return the fields of logs by name; `createdBy` of a log is that of its task."""

    def created_by(record: Record) -> str | None:
        run = runs.get(record.run_key)
        return run.metadata.annotations.created_by if run else None

    def created_on(record: Record) -> datetime:
        return record.metadata.creation_timestamp

    return _meta(
        ident=lambda record: record.metadata.name,
        created_on=created_on,
        created_by=created_by,
        saved_on=lambda record: record.finished_at or created_on(record),
        modified_on=lambda record: record.finished_at,
    ) | {
        "executionName": Field(Kind.TEXT, lambda record: record.pod_name),
        "task": Field(Kind.TEXT, lambda record: record.run_name),
        "iteration": Field(Kind.NUMBER, lambda record: record.iteration),
        "namespace": Field(Kind.TEXT, lambda record: record.metadata.namespace),
    }


CREATED: Final = frozenset({"createdOn", "revisionCreatedOn"})
"""The fields with the time of creation."""
TASK_SORTERS: Final = (
    "name",
    "definitionId",
    "parentId",
    "executionName",
    "iterations",
    "taskStatus",
    "startedOn",
    "finishedOn",
)
LOG_SORTERS: Final = ("executionName", "task", "iteration")
SEARCHED: Final = ("id", "name", "definitionId", "parentId", "executionName", "taskStatus", "task")
"""The fields that `search` considers, if an object has them."""
