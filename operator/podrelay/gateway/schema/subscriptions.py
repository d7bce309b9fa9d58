"""Subscriptions, over graphql-transport-ws."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from enum import Enum
from typing import Annotated

import strawberry

from podrelay.api import names
from podrelay.gateway.call import Call
from podrelay.gateway.errors import TaskNotFoundError, ValidationError
from podrelay.gateway.payloads import Payloads
from podrelay.gateway.query import filters, following, log_lines
from podrelay.gateway.query.attempts import place_of
from podrelay.gateway.query.fields import task_fields
from podrelay.gateway.query.following import Notice, Update
from podrelay.gateway.query.log_cursor import Positions
from podrelay.gateway.query.log_lines import Line, Wanted
from podrelay.gateway.schema.describing import described, subscription
from podrelay.gateway.schema.inputs import TaskWhere, task_conditions
from podrelay.gateway.schema.line_types import LogItem
from podrelay.gateway.schema.measuring import subscribed
from podrelay.gateway.schema.scalars import DateTime, Json, time_or_null
from podrelay.gateway.schema.schedules import ScheduleSubscriptions
from podrelay.gateway.schema.types import AnyIdent, Ident, Info, Task


@strawberry.enum(name="WebinyBackgroundTaskUpdateType")
class UpdateType(Enum):
    """The kind of a change."""

    ADDED = "ADDED"
    UPDATED = "UPDATED"
    DELETED = "DELETED"
    READY = strawberry.enum_value(
        "READY", description="Only with `announce`: from now on all changes are sent. Read the list now."
    )
    STALE = strawberry.enum_value(
        "STALE", description="Only with `announce`: the gateway receives no changes at the moment; READY will follow."
    )


@strawberry.type(name="WebinyBackgroundTaskUpdate", description="A change of a task.")
class TaskUpdate:
    """The newest state wins: intermediate states may not be sent."""

    type: UpdateType
    id: str = strawberry.field(description="Empty for READY and STALE.")
    task: Task | None = strawberry.field(description="Its newest state; for a deleted task, its last state.")
    matches: bool = strawberry.field(
        description="Whether the task belongs to the subscribed list now; false: remove it from the list."
    )
    skipped: int = strawberry.field(
        description="Tasks whose changes were dropped because you read too slowly; if not 0, read the list again."
    )

    @classmethod
    def of(cls, call: Call, update: Update | Notice) -> "TaskUpdate":
        """Return the update for a change."""
        if isinstance(update, Notice):
            kind = UpdateType.STALE if update.is_stale else UpdateType.READY
            return cls(type=kind, id="", task=None, matches=False, skipped=update.skipped)
        kind = UpdateType.ADDED if update.is_new else UpdateType.UPDATED
        return cls(
            type=UpdateType.DELETED if update.gone else kind,
            id=call.scope.ident(update.run.key),
            task=Task.of(update.run, Payloads(call.for_operation())),
            matches=update.matches,
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

    positions: strawberry.Private[Positions]
    source: LogSource
    message: str
    type: str | None = strawberry.field(description="info or error; only for structured lines.")
    created_on: DateTime | None = strawberry.field(description="By the clock of the node, if it is known.")
    data: Json | None
    error: Json | None
    pod_name: str | None
    iteration: int | None = strawberry.field(description="Of the pod; 0 if it only calls hooks.")
    attempt: int | None = strawberry.field(description="The attempt of the iteration, from 1.")
    dropped: int = strawberry.field(description="For a gap: how many lines are missing; 1 if it is not known.")

    @described
    def cursor(self) -> str:
        """Pass it as `after` to continue after this line, for example after a lost connection."""
        return self.positions.cursor

    @classmethod
    def of(cls, line: Line, positions: Positions) -> "LogLine":
        """Convert a line."""
        item = LogItem.of(line.item) if line.item is not None else None
        if line.dropped:
            source, message = LogSource.GAP, line.text or f"{line.dropped} line(s) missing"
        else:
            source, message = (LogSource.LOG, item.message) if item else (LogSource.POD, line.text or "")
        _, iteration, attempt = place_of(line.pod) if line.pod is not None else (False, None, None)
        return cls(
            positions=positions,
            source=source,
            message=message,
            type=item.type if item else None,
            created_on=item.created_on if item else time_or_null(line.at),
            data=item.data if item else None,
            error=item.error if item else None,
            pod_name=line.pod,
            iteration=iteration,
            attempt=attempt,
            dropped=line.dropped,
        )


@strawberry.type
class Subscription(ScheduleSubscriptions):
    """The root of subscriptions."""

    @subscription
    async def task_updated(
        self,
        info: Info,
        id_: AnyIdent = None,
        where: TaskWhere | None = None,
        search: str | None = None,
        announce: bool = False,
    ) -> AsyncIterator[TaskUpdate]:
        """Changes of one task, with its current state first; or of all that match, or matched before the change.

        With `announce`, an event says when changes begin to be sent (READY), and when none arrive (STALE).
        """
        with subscribed("taskUpdated"):
            call = info.context
            if id_ is not None and (where is not None or search is not None):
                raise ValidationError("Use either id or where, not both.", "where")
            only = await call.task_key("watch", id_) if id_ is not None else None
            matches = filters.predicate(task_fields(call.cache.definitions), task_conditions(where), search)
            following_changes = following.updates(call, matches, only, announce=announce)
            async with following.counted(call), aclosing(following_changes) as updates:
                async for update in updates:
                    yield TaskUpdate.of(call, update)

    @subscription
    async def task_logs(
        self,
        info: Info,
        id_: Ident,
        pod_output: bool = False,
        after: str | None = None,
        iteration: int | None = None,
        attempt: int | None = None,
        type_: Annotated[str | None, strawberry.argument(name="type")] = None,
    ) -> AsyncIterator[LogLine]:
        """The log lines of a task, from the first one until it has finished; on request also the output of its pods.

        `after` continues after the line with this cursor. `iteration`, `attempt` and `type` (info or error) select
        lines; a type leaves out the output of pods, which has none.
        """
        with subscribed("taskLogs"):
            call = info.context
            key = await call.task_key("get", id_)
            await call.may("watch", names.TASK_ITERATIONS)
            run = call.cache.runs.get(key)
            if run is None:
                raise TaskNotFoundError(id_)
            uid = run.metadata.uid
            positions = Positions(uid) if after is None else Positions.read(after, uid)
            wanted = Wanted(pod_output and type_ is None, iteration, attempt, type_)
            follow = log_lines.lines(call, key, wanted, positions)
            async with following.counted(call), aclosing(follow) as lines:
                async for line, place in lines:
                    yield LogLine.of(line, place)
