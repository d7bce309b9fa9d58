"""Subscriptions, over graphql-transport-ws."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from enum import Enum

import strawberry

from podrelay.api import names
from podrelay.gateway import filters, following
from podrelay.gateway.call import Call
from podrelay.gateway.errors import TaskNotFoundError, ValidationError
from podrelay.gateway.fields import task_fields
from podrelay.gateway.following import Line, Update
from podrelay.gateway.measuring import subscribed
from podrelay.gateway.payloads import Payloads
from podrelay.gateway.schema.describing import subscription
from podrelay.gateway.schema.inputs import TaskWhere, task_conditions
from podrelay.gateway.schema.scalars import DateTime, Json
from podrelay.gateway.schema.types import AnyIdent, Ident, Info, LogItem, Task


@strawberry.enum(name="WebinyBackgroundTaskUpdateType")
class UpdateType(Enum):
    """What has happened."""

    ADDED = "ADDED"
    UPDATED = "UPDATED"
    DELETED = "DELETED"


@strawberry.type(name="WebinyBackgroundTaskUpdate", description="Something has happened to a task.")
class TaskUpdate:
    """The newest state wins: states in between may never be sent."""

    type: UpdateType
    id: str
    task: Task | None = strawberry.field(description="Its newest state; the last one of a task that is deleted.")
    skipped: int = strawberry.field(description="Tasks whose change was left out, because you read too slowly.")

    @classmethod
    def of(cls, call: Call, update: Update) -> "TaskUpdate":
        """Return what is told about a change."""
        kind = UpdateType.ADDED if update.is_new else UpdateType.UPDATED
        return cls(
            type=UpdateType.DELETED if update.gone else kind,
            id=call.scope.ident(update.run.key),
            task=Task.of(update.run, Payloads(call.for_operation())),
            skipped=update.skipped,
        )


@strawberry.enum(name="WebinyBackgroundTaskLogSource")
class LogSource(Enum):
    """Where a line comes from."""

    LOG = "LOG"
    POD = "POD"
    GAP = "GAP"


@strawberry.type(
    name="WebinyBackgroundTaskLogLine", description="A line of a log, or the place where some are missing."
)
class LogLine:
    """Structured if the task has logged it, plain if its pod has printed it."""

    source: LogSource
    message: str
    type: str | None = strawberry.field(description="info or error, of structured lines.")
    created_on: DateTime | None
    data: Json | None
    error: Json | None
    pod_name: str | None
    iteration: int | None
    dropped: int = strawberry.field(description="Of a gap: how many lines are missing.")

    @classmethod
    def of(cls, line: Line) -> "LogLine":
        """Return what is told about a line."""
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
        """Changes of one task, its state now first; or of all that match, those that match no longer included."""
        with subscribed("taskUpdated"):
            call = info.context
            if id_ is not None and where is not None:
                raise ValidationError("Give either id or where.", "where")
            only = await call.task_key("watch", id_) if id_ is not None else None
            matches = filters.predicate(task_fields(call.cache.definitions), task_conditions(where), None)
            async with following.counted(call), aclosing(following.updates(call, matches, only)) as updates:
                async for update in updates:
                    yield TaskUpdate.of(call, update)

    @subscription
    async def task_logs(self, info: Info, id_: Ident, pod_output: bool = False) -> AsyncIterator[LogLine]:
        """What a task logs, from its first line until it has ended; on request also what its pods print."""
        with subscribed("taskLogs"):
            call = info.context
            key = await call.task_key("get", id_)
            await call.may("watch", names.TASK_ITERATIONS)
            if call.cache.runs.get(key) is None:
                raise TaskNotFoundError(id_)
            async with (
                following.counted(call),
                aclosing(following.lines(call, key, pod_output=pod_output)) as lines,
            ):
                async for line in lines:
                    yield LogLine.of(line)
