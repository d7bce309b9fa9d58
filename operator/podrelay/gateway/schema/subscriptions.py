"""Subscriptions, over graphql-transport-ws."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from enum import Enum

import strawberry

from podrelay.api import names
from podrelay.gateway.call import Call
from podrelay.gateway.errors import TaskNotFoundError, ValidationError
from podrelay.gateway.payloads import Payloads
from podrelay.gateway.query import filters, following
from podrelay.gateway.query.fields import task_fields
from podrelay.gateway.query.following import Line, Update
from podrelay.gateway.schema.describing import subscription
from podrelay.gateway.schema.inputs import TaskWhere, task_conditions
from podrelay.gateway.schema.line_types import LogItem
from podrelay.gateway.schema.measuring import subscribed
from podrelay.gateway.schema.scalars import DateTime, Json
from podrelay.gateway.schema.types import AnyIdent, Ident, Info, Task


@strawberry.enum(name="WebinyBackgroundTaskUpdateType")
class UpdateType(Enum):
    """The kind of a change."""

    ADDED = "ADDED"
    UPDATED = "UPDATED"
    DELETED = "DELETED"


@strawberry.type(name="WebinyBackgroundTaskUpdate", description="A change of a task.")
class TaskUpdate:
    """The newest state wins: intermediate states may not be sent."""

    type: UpdateType
    id: str
    task: Task | None = strawberry.field(description="Its newest state; for a deleted task, its last state.")
    skipped: int = strawberry.field(description="Tasks whose changes were dropped because you read too slowly.")

    @classmethod
    def of(cls, call: Call, update: Update) -> "TaskUpdate":
        """Return the update for a change."""
        kind = UpdateType.ADDED if update.is_new else UpdateType.UPDATED
        return cls(
            type=UpdateType.DELETED if update.gone else kind,
            id=call.scope.ident(update.run.key),
            task=Task.of(update.run, Payloads(call.for_operation())),
            skipped=update.skipped,
        )


@strawberry.enum(name="WebinyBackgroundTaskLogSource")
class LogSource(Enum):
    """The source of a line."""

    LOG = "LOG"
    POD = "POD"
    GAP = "GAP"


@strawberry.type(name="WebinyBackgroundTaskLogLine", description="A line of a log, or a gap where lines are missing.")
class LogLine:
    """A structured line that the task has logged, or a plain line that its pod has printed."""

    source: LogSource
    message: str
    type: str | None = strawberry.field(description="info or error; only for structured lines.")
    created_on: DateTime | None
    data: Json | None
    error: Json | None
    pod_name: str | None
    iteration: int | None
    dropped: int = strawberry.field(description="For a gap: how many lines are missing.")

    @classmethod
    def of(cls, line: Line) -> "LogLine":
        """Convert a line."""
        item = LogItem.of(line.item) if line.item is not None else None
        if line.dropped:
            source, message = LogSource.GAP, f"{line.dropped} line(s) missing"
        else:
            source, message = (LogSource.LOG, item.message) if item else (LogSource.POD, line.text or "")
        return cls(
            source=source,
            message=message,
            type=item.type if item else None,
            created_on=item.created_on if item else None,
            data=item.data if item else None,
            error=item.error if item else None,
            pod_name=line.pod,
            iteration=line.iteration,
            dropped=line.dropped,
        )


@strawberry.type
class Subscription:
    """The root of subscriptions."""

    @subscription
    async def task_updated(
        self, info: Info, id_: AnyIdent = None, where: TaskWhere | None = None
    ) -> AsyncIterator[TaskUpdate]:
        """Changes of one task, with its current state first; or of all that match, or matched before the change."""
        with subscribed("taskUpdated"):
            call = info.context
            if id_ is not None and where is not None:
                raise ValidationError("Use either id or where, not both.", "where")
            only = await call.task_key("watch", id_) if id_ is not None else None
            matches = filters.predicate(task_fields(call.cache.definitions), task_conditions(where), None)
            async with following.counted(call), aclosing(following.updates(call, matches, only)) as updates:
                async for update in updates:
                    yield TaskUpdate.of(call, update)

    @subscription
    async def task_logs(self, info: Info, id_: Ident, pod_output: bool = False) -> AsyncIterator[LogLine]:
        """The log lines of a task, from the first one until it has finished; on request also the output of its pods."""
        with subscribed("taskLogs"):
            call = info.context
            key = await call.task_key("get", id_)
            await call.may("watch", names.TASK_ITERATIONS)
            if call.cache.runs.get(key) is None:
                raise TaskNotFoundError(id_)
            async with following.counted(call), aclosing(following.lines(call, key, pod_output=pod_output)) as lines:
                async for line in lines:
                    yield LogLine.of(line)
