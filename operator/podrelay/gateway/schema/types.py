"""The types of answers. Plain fields are set at once, which is cheap; payloads are read only if they are queried."""

from collections.abc import Awaitable, Callable
from typing import Annotated, TypeAlias

import strawberry

from podrelay.api import names
from podrelay.api.phases import FAILED, STATUS_WORDS
from podrelay.gateway import queues, signals
from podrelay.gateway.cache import family
from podrelay.gateway.call import Call
from podrelay.gateway.errors import TaskNotFoundError
from podrelay.gateway.event_loop.turns import paced
from podrelay.gateway.events import Event as StoredEvent
from podrelay.gateway.events import events_of
from podrelay.gateway.objects import Record, Run
from podrelay.gateway.payloads import Payloads, without_managed_fields
from podrelay.gateway.query import listing
from podrelay.gateway.query.attempts import Attempt as KnownAttempt
from podrelay.gateway.query.attempts import attempts_of, by_iteration
from podrelay.gateway.query.fields import UNKNOWN_USER, execution_name, saved_on, task_name
from podrelay.gateway.query.listing import Listing, page_size
from podrelay.gateway.query.sorting import Page
from podrelay.gateway.schema.attempt_types import Attempt
from podrelay.gateway.schema.describing import described
from podrelay.gateway.schema.envelope import Error
from podrelay.gateway.schema.inputs import (
    LogSorter,
    LogWhere,
    TaskSorter,
    TaskWhere,
    item_conditions,
    log_conditions,
    sorters,
    task_conditions,
)
from podrelay.gateway.schema.line_types import Console, LogItem
from podrelay.gateway.schema.run_types import (
    Diagnosis,
    Event,
    Failure,
    HookOutcome,
    QueuePlace,
    Scheduled,
)
from podrelay.gateway.schema.scalars import DateTime, Json, Number, json_or_null, time_or_null
from podrelay.gateway.schema.signal_types import ApprovalDecision, AwaitedSignals, Signal
from podrelay.gateway.schema.statistics_types import StatusCount
from podrelay.gateway.schema.words import Phase, Reason, reason_of
from podrelay.kube.resources import Key

Info: TypeAlias = strawberry.Info[Call, None]
Ident: TypeAlias = Annotated[strawberry.ID, strawberry.argument(name="id")]
AnyIdent: TypeAlias = Annotated[strawberry.ID | None, strawberry.argument(name="id")]
_SERVICE_ACCOUNT = "system:serviceaccount:"
MAX_ANCESTORS = 11
"""A run has at most 10 levels of runs above it; the operator refuses others, which may exist until it has seen them."""


@strawberry.type(name="WebinyBackgroundTaskIdentity", description="The user who started a task.")
class Identity:
    """A user of the cluster."""

    id: str
    display_name: str
    type: str | None

    @classmethod
    def of(cls, user: str | None) -> "Identity":
        """Return the identity of a user; `user` is None if the name is not known, because kubectl does not set it."""
        if user is None:
            return cls(id=UNKNOWN_USER, display_name=UNKNOWN_USER, type=UNKNOWN_USER)
        is_account = user.startswith(_SERVICE_ACCOUNT)
        shown = user.removeprefix(_SERVICE_ACCOUNT).replace(":", "/") if is_account else user
        return cls(id=user, display_name=shown, type="serviceaccount" if is_account else "user")


@strawberry.type(name="WebinyBackgroundTaskMeta", description="The position of a page in its list.")
class Meta:
    """The metadata of a page."""

    total: strawberry.Private[Callable[[], Awaitable[int]]]
    cursor: str | None = strawberry.field(description="Pass it as `after` to get the next page; null on the last page.")
    has_more_items: bool

    @classmethod
    def of(cls, page: Page[Run] | Page[Record]) -> "Meta":
        """Return the metadata of a page."""
        return cls(cursor=page.cursor, has_more_items=page.cursor is not None, total=page.total)

    @described
    async def total_count(self) -> int:
        """The number of items on all pages. Query it only if you show it: a page can be found without counting all."""
        return await self.total()


@strawberry.type(name="WebinyBackgroundTaskProgress", description="Progress, as reported by the task.")
class Progress:
    """The latest progress report of a task."""

    percent: Number | None
    message: str | None
    at: DateTime | None


@strawberry.type(name="WebinyBackgroundTaskLog", description="The log of one attempt of an iteration.")
class Log:
    """One record."""

    key: strawberry.Private[Key]
    run: strawberry.Private[Key]
    payloads: strawberry.Private[Payloads]
    has_lines: strawberry.Private[bool]
    id: str
    created_on: DateTime
    created_by: Identity
    execution_name: str
    iteration: Number
    attempt: int = strawberry.field(description="The attempt of the iteration that wrote it, from 1.")
    finished_on: DateTime | None
    answer: str | None = strawberry.field(description="done, continue, error or aborted; null until then.")
    message: str | None

    @classmethod
    def of(cls, record: Record, payloads: Payloads) -> "Log":
        """Return a record."""
        call = payloads.call
        run = call.cache.runs.get(record.run_key)
        return cls(
            key=record.key,
            run=record.run_key,
            payloads=payloads,
            has_lines=bool(record.logs),
            id=call.scope.ident(record.key),
            created_on=DateTime(record.metadata.creation_timestamp),
            created_by=Identity.of(run.metadata.annotations.created_by if run else None),
            execution_name=record.pod_name,
            iteration=Number(record.iteration),
            attempt=record.try_,
            finished_on=DateTime(record.finished_at) if record.finished_at else None,
            answer=record.response.status if record.response else None,
            message=record.response.message if record.response else None,
        )

    @described
    async def items(self) -> list[LogItem] | None:
        """The newest 200 lines or 64 KiB; null, with an error, if the lines exceed the limit of an answer."""
        if not self.has_lines:
            return []
        stored = await self.payloads.record(self.key)
        lines = stored.get("logs") or ()
        self.payloads.budget.take_lines(len(lines))
        # Dropped lines count, so that a line keeps its number.
        numbered = [*enumerate(lines, (stored.get("droppedLogs") or 0) + 1)]
        turns = self.payloads.call.services.turns
        return paced(turns, numbered, lambda line: LogItem.of(line[1], f"{self.id}:{line[0]}"))

    @described
    async def console(self) -> Console | None:
        """What its pod has printed in addition, once the pod has answered; null if it has printed nothing."""
        stored = (await self.payloads.record(self.key)).get("console")
        return Console.of(stored) if stored else None

    @described
    async def task(self) -> "Task":
        """The task that wrote it."""
        call = self.payloads.call
        await call.may("get", names.TASK_RUNS, self.run)
        run = call.cache.runs.get(self.run)
        if run is None:
            raise TaskNotFoundError(call.scope.ident(self.run))
        self.payloads.budget.take_rows(1)
        return Task.of(run, self.payloads)


@strawberry.type(name="WebinyBackgroundTaskLogListResponse")
class LogListResponse:
    """A page of logs."""

    data: list[Log] | None = None
    meta: Meta | None = None
    error: Error | None = None


@strawberry.type(name="WebinyBackgroundTask", description="A background task: a TaskRun.")
class Task:
    """A task, with Webiny's fields first and then those of Podrelay."""

    run: strawberry.Private[Run]
    payloads: strawberry.Private[Payloads]
    max_logs: strawberry.Private[int | None]
    id: str
    created_on: DateTime
    saved_on: DateTime | None
    created_by: Identity
    name: str | None
    definition_id: str | None
    parent_id: str | None
    execution_name: str | None = strawberry.field(description="The current pod, or the last one.")
    iterations: Number | None
    task_status: str | None = strawberry.field(description="pending, running, success, failed or aborted.")
    started_on: DateTime | None
    finished_on: DateTime | None
    phase: Phase = strawberry.field(description="The same as `taskStatus`, as an enum.")
    event_response: Json | None = strawberry.field(description="Kind, name and UID of the TaskRun.")
    namespace: str
    reason: str | None = strawberry.field(description="One word that explains its status: Delayed, Queued, ...")
    reason_code: Reason | None = strawberry.field(description="The same as `reason`, as an enum.")
    message: str | None = strawberry.field(description="The reason in plain text.")
    progress: Progress | None
    pod_name: str | None
    next_iteration_at: DateTime | None = strawberry.field(description="When the next pod is due, while the task waits.")
    queue_position: int | None = strawberry.field(description="Position in the queue of its definition, from 1.")
    max_iterations: int | None
    attempts: int = strawberry.field(description="Failed attempts of the current iteration.")
    disruptions: int = strawberry.field(description="Pods of the current iteration that were lost by disruptions.")
    suspended: bool
    start_at: DateTime | None
    rerun_of: str | None = strawberry.field(description="Id of the task that it repeats.")
    aborted_by: Identity | None = strawberry.field(description="The user who aborted it, if known.")
    uid: str = strawberry.field(description="UID of the TaskRun; a task that is created again has another one.")
    version: str = strawberry.field(
        description="Grows with each change of the task: of two states, that with the greater number is newer."
    )
    deleted_on: DateTime | None = strawberry.field(description="When its deletion was requested, if it still exists.")
    is_stalled: bool = strawberry.field(description="Nothing can start until a problem is solved, or it has failed.")
    failure: Failure | None
    hooks: list[HookOutcome] = strawberry.field(description="The lifecycle hooks that were called.")
    waiting_for: AwaitedSignals | None = strawberry.field(description="The signals that it waits for.")
    approvals: list[ApprovalDecision] = strawberry.field(description="Who has approved or rejected it, oldest first.")
    scheduled: Scheduled | None = strawberry.field(description="Null if no schedule has started it.")

    @classmethod
    def of(cls, run: Run, payloads: Payloads, max_logs: int | None = None) -> "Task":
        """Return the task for a run.

        Args:
            run: the run.
            payloads: reads inputs, outputs and log lines.
            max_logs: how many logs to show if the document sets no limit; None: a page of them.
        """
        call, status, metadata = payloads.call, run.status, run.metadata
        definition = call.cache.definitions.get(Key(metadata.namespace, run.spec.definition))
        return cls(
            run=run,
            payloads=payloads,
            max_logs=max_logs,
            id=call.scope.ident(run.key),
            created_on=DateTime(metadata.creation_timestamp),
            saved_on=DateTime(saved_on(run)),
            created_by=Identity.of(metadata.annotations.created_by),
            name=task_name(run, call.cache.definitions),
            definition_id=names.definition_id(run.spec.definition),
            parent_id=_related(call, run, run.spec.parent),
            execution_name=execution_name(run),
            iterations=Number(status.iterations or 0),
            task_status=STATUS_WORDS[run.phase],
            started_on=DateTime(status.started_at) if status.started_at else None,
            finished_on=DateTime(status.finished_at) if status.finished_at else None,
            event_response=Json({"kind": "TaskRun", "name": metadata.name, "uid": metadata.uid}),
            namespace=metadata.namespace,
            phase=Phase(run.phase),
            reason=status.reason,
            reason_code=reason_of(status.reason),
            message=status.message,
            progress=_progress(run),
            pod_name=execution_name(run) or None,
            next_iteration_at=DateTime(status.next_iteration_at) if status.next_iteration_at else None,
            queue_position=status.queue_position,
            max_iterations=status.max_iterations or (definition.spec.max_iterations if definition else None),
            attempts=status.attempts,
            disruptions=status.disruptions,
            suspended=run.spec.suspend,
            start_at=DateTime(run.spec.start_at) if run.spec.start_at else None,
            rerun_of=_related(call, run, metadata.annotations.rerun_of),
            aborted_by=Identity.of(run.spec.abort.by) if run.spec.abort and run.spec.abort.by else None,
            uid=metadata.uid,
            version=metadata.resource_version,
            deleted_on=time_or_null(metadata.deletion_timestamp),
            is_stalled=status.is_stalled,
            failure=Failure(message=status.error.message, code=status.error.code) if status.error else None,
            hooks=[HookOutcome.of(outcome) for outcome in status.hooks],
            waiting_for=AwaitedSignals.of(status.waiting_for, run, payloads) if status.waiting_for else None,
            approvals=[ApprovalDecision.of(decision) for decision in status.approvals],
            scheduled=_scheduled(call, run),
        )

    @described
    def diagnosis(self) -> Diagnosis | None:
        """What the documentation says about `reason`: what it means, and what to do."""
        return Diagnosis.of(self.reason)

    @described
    async def manifest(self) -> Json | None:
        """The TaskRun as kubectl shows it, without managedFields."""
        return json_or_null(without_managed_fields(await self.payloads.run(self.run.key)))

    @described
    async def input(self) -> Json | None:
        """Its input; {} if it was started without one."""
        spec = (await self.payloads.run(self.run.key)).get("spec")
        return None if spec is None else Json(spec.get("input") or {})

    @described
    async def overrides(self) -> Json | None:
        """The settings of its definition that are different for it; null if it was started without overrides."""
        return json_or_null((await self.payloads.run(self.run.key)).get("spec", {}).get("overrides"))

    @described
    async def output(self) -> Json | None:
        """Its result; {"error": ...} if it failed."""
        return json_or_null(await self.payloads.output(self.run.key))

    @described
    async def logs(
        self, where: LogWhere | None = None, limit: Number | None = None, sort: list[LogSorter] | None = None
    ) -> list[Log]:
        """Its logs, newest first; each log has the lines of one attempt.

        Without `limit`: one page; in a list of tasks, as many as the limit of 1,000 tasks and logs together allows.
        """
        call = self.payloads.call
        await call.may("list", names.TASK_ITERATIONS)
        most = limit or self.max_logs or call.services.limits.max_page
        asked = Listing(log_conditions(where), sorters(sort), most, items=item_conditions(where))
        page = await listing.logs(call, self.payloads, asked, self.run.key)
        self.payloads.budget.take_rows(len(page.items))
        return paced(call.services.turns, page.items, lambda record: Log.of(record, self.payloads))

    @described
    async def history(self, limit: int = 50, offset: int = 0) -> list[Attempt] | None:
        """Its attempts, newest first: one for each pod, also for pods that were lost or have not answered yet."""
        known, records = await self._attempts()
        first = max(0, offset)
        shown = known[first : first + page_size(self.payloads.call, limit)]
        self.payloads.budget.take_rows(len(shown))
        return paced(
            self.payloads.call.services.turns,
            shown,
            lambda attempt: Attempt.of(attempt, self.run.key, records, self.payloads),
        )

    @described
    async def events(self) -> list[Event] | None:
        """Kubernetes Events of the task and of its newest 20 pods, newest first. Needs the right to list events."""
        known, _ = await self._attempts()
        pods = [attempt.pod_name for attempt in known]
        found = await events_of(self.payloads.call, self.run, pods, self.payloads.budget)
        self.payloads.budget.take_lines(len(found))
        return paced(self.payloads.call.services.turns, found, _event)

    @described
    async def queue(self) -> QueuePlace | None:
        """Its place in the queue of its definition; null unless it waits for a slot (`reason` is Queued)."""
        if not queues.is_queued(self.run):
            return None
        call = self.payloads.call
        await call.may("list", names.TASK_RUNS)
        key = Key(self.run.metadata.namespace, self.run.spec.definition)
        definition = call.cache.definitions.get(key)
        limit = definition.spec.max_concurrent_runs if definition else None
        return QueuePlace.of(self.run, call.services.queues.of(key), limit)

    @described
    async def child_counts(self) -> list[StatusCount] | None:
        """How many of the tasks that it has started have which status; without statuses that none has."""
        call, name, namespace = self.payloads.call, self.run.metadata.name, self.run.metadata.namespace
        await call.may("list", names.TASK_RUNS)
        self.payloads.budget.take_looks(len(STATUS_WORDS))
        counts = {
            word: call.cache.runs.count("family", namespace, family(name, phase))
            for phase, word in STATUS_WORDS.items()
        }
        return [StatusCount(status=word, count=count) for word, count in counts.items() if count]

    @described
    async def ancestors(self) -> list[Annotated["Task", strawberry.lazy("podrelay.gateway.schema.types")]] | None:
        """The tasks above it, its parent last; without those that were deleted, and what is above them."""
        call, found = self.payloads.call, [self.run]
        while (above := found[-1].spec.parent) is not None and len(found) <= MAX_ANCESTORS:
            key = Key(self.run.metadata.namespace, above)
            await call.may("get", names.TASK_RUNS, key)
            if (run := call.cache.runs.get(key)) is None:
                break
            found.append(run)
        self.payloads.budget.take_rows(len(found) - 1)
        return [Task.of(run, self.payloads) for run in reversed(found[1:])]

    @described
    async def failed_leaf(self) -> Annotated["Task", strawberry.lazy("podrelay.gateway.schema.types")] | None:
        """Where a failure began: the oldest failed child, of that one the oldest failed child, and so on; or null."""
        call, found = self.payloads.call, self.run
        await call.may("list", names.TASK_RUNS)
        for _ in range(MAX_ANCESTORS):
            index = family(found.metadata.name, FAILED)
            child = call.cache.runs.oldest("family", found.metadata.namespace, index)
            if child is None:
                break
            found = child
        if found is self.run:
            return None
        self.payloads.budget.take_rows(1)
        return Task.of(found, self.payloads)

    async def _attempts(self) -> tuple[list[KnownAttempt], dict[int, list[Record]]]:
        """Return the attempts, newest first, and the records of the run; the caller may get the run and list logs."""
        call = self.payloads.call
        await call.may("list", names.TASK_ITERATIONS)
        key = self.run.key
        records = call.cache.records.indexed("run", key.namespace, key.name)
        self.payloads.budget.take_looks(len(records))
        recent = (await self.payloads.run(key)).get("status", {}).get("recentIterations") or ()
        return attempts_of(self.run, records, recent), by_iteration(records)

    @described
    async def parent(self) -> Annotated["Task", strawberry.lazy("podrelay.gateway.schema.types")] | None:
        """The task that started it; null if there is none, or if it was deleted."""
        if self.run.spec.parent is None:
            return None
        call = self.payloads.call
        key = Key(self.run.metadata.namespace, self.run.spec.parent)
        await call.may("get", names.TASK_RUNS, key)
        found = call.cache.runs.get(key)
        if found is None:
            return None
        self.payloads.budget.take_rows(1)
        return Task.of(found, self.payloads)

    @described
    async def children(
        self,
        where: TaskWhere | None = None,
        sort: list[TaskSorter] | None = None,
        limit: int | None = None,
        after: str | None = None,
    ) -> "TaskListResponse":
        """The tasks that it has started."""
        call = self.payloads.call
        await call.may("list", names.TASK_RUNS)
        asked = Listing(task_conditions(where), sorters(sort), limit, after)
        return TaskListResponse.of(await listing.tasks(call, asked, self.run), self.payloads)

    @described
    async def signals(self, limit: int = signals.MOST_SENT) -> list[Signal] | None:
        """The signals that were sent to it, oldest first; at most 100."""
        found = await signals.sent_to(self.payloads.call, self.run, limit)
        return [Signal.of(self.id, stored) for stored in found]


@strawberry.type(name="WebinyBackgroundTaskResponse")
class TaskResponse:
    """One task; null if it does not exist."""

    data: Task | None = None
    error: Error | None = None


@strawberry.type(name="WebinyBackgroundTaskTriggerResponse")
class TriggerResponse:
    """The task that was started."""

    data: Task | None = None
    error: Error | None = None


@strawberry.type(name="WebinyBackgroundTaskDeleteResponse")
class DeleteResponse:
    """True if the task was deleted."""

    data: bool | None = None
    error: Error | None = None


@strawberry.type(name="WebinyBackgroundTaskListResponse")
class TaskListResponse:
    """A page of tasks."""

    data: list[Task] | None = None
    meta: Meta | None = None
    error: Error | None = None

    @classmethod
    def of(cls, page: Page[Run], payloads: Payloads) -> "TaskListResponse":
        """Return a page."""
        payloads.budget.take_rows(len(page.items))
        # At least one, so that a caller beyond the limit gets an error instead of an empty list.
        max_logs = max(1, payloads.budget.rows_left // max(1, len(page.items)))
        tasks = paced(payloads.call.services.turns, page.items, lambda run: Task.of(run, payloads, max_logs))
        return cls(data=tasks, meta=Meta.of(page))


@strawberry.type(name="WebinyBackgroundTaskSettings")
class Settings:
    """The settings of a namespace."""

    retention_days: int | None = strawberry.field(
        description="For how many days finished tasks without their own setting are kept; 0 means forever."
    )


@strawberry.type(name="WebinyBackgroundTaskSettingsResponse")
class SettingsResponse:
    """The current settings."""

    data: Settings | None = None
    error: Error | None = None


def _event(event: StoredEvent) -> Event:
    return Event(
        id=event.id,
        type=event.type,
        reason=event.reason,
        message=event.message,
        kind=event.kind,
        name=event.name,
        source=event.source,
        count=Number(event.count),
        first_on=time_or_null(event.first_at),
        last_on=time_or_null(event.last_at),
    )


def _related(call: Call, run: Run, name: str | None) -> str | None:
    return call.scope.ident(Key(run.metadata.namespace, name)) if name else None


def _scheduled(call: Call, run: Run) -> Scheduled | None:
    scheduled = run.spec.scheduled
    if scheduled is None:
        return None
    return Scheduled(
        schedule_id=call.scope.ident(Key(run.metadata.namespace, scheduled.schedule)),
        scheduled_for=DateTime(scheduled.time),
        manual=scheduled.manual,
        backfill=scheduled.backfill,
    )


def _progress(run: Run) -> Progress | None:
    progress = run.status.progress
    if progress is None:
        return None
    return Progress(
        percent=None if progress.percent is None else Number(progress.percent),
        message=progress.message,
        at=DateTime(progress.at) if progress.at else None,
    )
