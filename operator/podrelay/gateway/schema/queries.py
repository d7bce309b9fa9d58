"""Queries: answered from the cache, after the API server has confirmed that the caller may read."""

from datetime import UTC, datetime

import strawberry

from podrelay.api import names
from podrelay.gateway import podlogs, settings, writing
from podrelay.gateway.call import ALL_NAMESPACES, Call
from podrelay.gateway.errors import TaskNotFoundError, ValidationError
from podrelay.gateway.event_loop.turns import paced
from podrelay.gateway.payloads import Payloads, fetch
from podrelay.gateway.query import count_runs, listing, overview
from podrelay.gateway.query.fields import in_utc
from podrelay.gateway.query.listing import Listing
from podrelay.gateway.query.overview import Asked
from podrelay.gateway.schema.caller_types import CallerInfo, CallerResponse
from podrelay.gateway.schema.definition_types import (
    DefinitionResponse,
    DefinitionsResponse,
    TaskDefinition,
    shown_definitions,
)
from podrelay.gateway.schema.describing import described
from podrelay.gateway.schema.envelope import Error, envelope
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
from podrelay.gateway.schema.measuring import measured
from podrelay.gateway.schema.overview_types import Overview, OverviewResponse
from podrelay.gateway.schema.queue_types import Queue, QueueResponse
from podrelay.gateway.schema.scalars import DateTime, Json
from podrelay.gateway.schema.schedules import ScheduleQueries
from podrelay.gateway.schema.signals import SignalQueries
from podrelay.gateway.schema.statistics_types import Statistics, StatisticsResponse
from podrelay.gateway.schema.types import (
    Ident,
    Identity,
    Info,
    Log,
    LogListResponse,
    Meta,
    Settings,
    SettingsResponse,
    Task,
    TaskListResponse,
    TaskResponse,
)
from podrelay.gateway.schema.validation_types import InputCheck, InputCheckResponse
from podrelay.kube.resources import TASK_ITERATIONS, Key

MAX_POD_LINES = 2000


@strawberry.type(name="WebinyBackgroundTaskPodLogsResponse")
class PodLogsResponse:
    """The last lines that a pod has printed; if the pod no longer exists, those in its record."""

    data: str | None = None
    pod_name: str | None = None
    error: Error | None = None


@strawberry.type(name="WebinyBackgroundTaskQuery")
class BackgroundTaskQuery(ScheduleQueries, SignalQueries):
    """Queries of background tasks."""

    payloads: strawberry.Private[Payloads]

    @measured("query")
    async def get_task(self, id_: Ident) -> TaskResponse:
        """One task; data and error are null if it does not exist."""
        data, error = await envelope(_get_task(self.payloads, id_))
        return TaskResponse(data=data, error=error)

    @measured("query")
    async def list_tasks(
        self,
        where: TaskWhere | None = None,
        sort: list[TaskSorter] | None = None,
        limit: int | None = None,
        after: str | None = None,
        search: str | None = None,
    ) -> TaskListResponse:
        """A page of tasks, newest first unless sorted otherwise."""
        asked = Listing(task_conditions(where), sorters(sort), limit, after, search)
        data, error = await envelope(_list_tasks(self.payloads, asked))
        return data or TaskListResponse(error=error)

    @measured("query")
    async def list_definitions(self) -> DefinitionsResponse:
        """All definitions that can be triggered."""
        data, error = await envelope(_list_definitions(self.payloads))
        return DefinitionsResponse(data=data, error=error)

    @measured("query")
    async def get_definition(self, id_: Ident) -> DefinitionResponse:
        """One definition, by its id or its name; data and error are null if it does not exist, or is private."""
        data, error = await envelope(_get_definition(self.payloads, id_))
        return DefinitionResponse(data=data, error=error)

    @measured("query")
    async def list_logs(
        self,
        where: LogWhere | None = None,
        sort: list[LogSorter] | None = None,
        limit: int | None = None,
        after: str | None = None,
        search: str | None = None,
    ) -> LogListResponse:
        """A page of logs, newest first unless sorted otherwise; one log for each attempt of an iteration."""
        asked = Listing(log_conditions(where), sorters(sort), limit, after, search, item_conditions(where))
        data, error = await envelope(_list_logs(self.payloads, asked))
        return data or LogListResponse(error=error)

    @measured("query")
    async def get_settings(self) -> SettingsResponse | None:
        """The settings of the namespace."""
        data, error = await envelope(settings.retention_days(self.payloads.call))
        return SettingsResponse(data=None if data is None else Settings(retention_days=data), error=error)

    @measured("query")
    async def statistics(self, since: DateTime | None = None, definition: str | None = None) -> StatisticsResponse:
        """Counts and durations of the tasks created since a time, of all definitions or of one."""
        data, error = await envelope(_statistics(self.payloads.call, since, definition))
        return StatisticsResponse(data=data, error=error)

    @measured("query")
    async def overview(
        self,
        since: DateTime | None = None,
        until: DateTime | None = None,
        interval_seconds: int | None = None,
        definition: str | None = None,
    ) -> OverviewResponse:
        """What has happened in a time range, by default the last day, of all definitions or of one."""
        asked = Asked(_in_utc(since), _in_utc(until), interval_seconds, definition)
        data, error = await envelope(_overview(self.payloads.call, asked))
        return OverviewResponse(data=data, error=error)

    @measured("query")
    async def get_queue(self, definition: str) -> QueueResponse:
        """The tasks of a definition that have a pod, and those that wait for a slot, in their order."""
        data, error = await envelope(_get_queue(self.payloads, definition))
        return QueueResponse(data=data, error=error)

    @measured("query")
    async def who_am_i(self) -> CallerResponse:
        """The caller, what they may do, and in which namespaces they may list tasks."""
        data, error = await envelope(_who_am_i(self.payloads))
        return CallerResponse(data=data, error=error)

    @measured("query")
    async def validate_input(self, definition: str, input: Json | None = None) -> InputCheckResponse:
        """Check an input against the `inputSchema` of a definition, as `triggerTask` does, without starting a task."""
        data, error = await envelope(_validate(self.payloads.call, definition, input))
        return InputCheckResponse(data=data, error=error)

    @measured("query")
    async def pod_logs(self, id_: Ident, pod: str | None = None, tail: int = 200) -> PodLogsResponse:
        """The last lines that the newest pod of a task, or the named pod, has printed."""
        data, error = await envelope(_pod_logs(self.payloads.call, id_, pod, tail))
        return data or PodLogsResponse(error=error)


@strawberry.type
class Query:
    """The root of queries."""

    @described
    def background_tasks(self, info: Info) -> BackgroundTaskQuery | None:
        """Background tasks of the namespace."""
        return BackgroundTaskQuery(payloads=Payloads(info.context))


async def _get_task(payloads: Payloads, ident: str) -> Task | None:
    call = payloads.call
    try:
        key = await call.task_key("get", ident)
    except TaskNotFoundError:
        return None
    run = call.cache.runs.get(key)
    payloads.budget.take_rows(1)
    return Task.of(run, payloads) if run else None


async def _list_tasks(payloads: Payloads, asked: Listing) -> TaskListResponse:
    await payloads.call.may("list", names.TASK_RUNS)
    return TaskListResponse.of(await listing.tasks(payloads.call, asked), payloads)


async def _list_definitions(payloads: Payloads) -> list[TaskDefinition]:
    call = payloads.call
    await call.may("list", names.TASK_DEFINITIONS)
    return shown_definitions(payloads, call.cache.definitions.all(call.scope.namespace))


async def _get_definition(payloads: Payloads, ident: str) -> TaskDefinition | None:
    call = payloads.call
    namespace, slash, name = ident.rpartition("/")
    try:
        key = call.scope.key(f"{namespace}{slash}{names.definition_name(name)}")
    except TaskNotFoundError:
        await call.may("get", names.TASK_DEFINITIONS)
        return None
    await call.may("get", names.TASK_DEFINITIONS, key)
    found = call.cache.definitions.get(key)
    return None if found is None or found.spec.private else TaskDefinition.of(found, payloads)


async def _list_logs(payloads: Payloads, asked: Listing) -> LogListResponse:
    await payloads.call.may("list", names.TASK_ITERATIONS)
    page = await listing.logs(payloads.call, payloads, asked)
    payloads.budget.take_rows(len(page.items))
    data = paced(payloads.call.services.turns, page.items, lambda record: Log.of(record, payloads))
    return LogListResponse(data=data, meta=Meta.of(page))


async def _statistics(call: Call, since: datetime | None, definition: str | None) -> Statistics:
    await call.may("list", names.TASK_RUNS)
    return Statistics.of(call, await count_runs.statistics(call, _in_utc(since), definition))


async def _overview(call: Call, asked: Asked) -> Overview:
    await call.may("list", names.TASK_RUNS)
    return Overview.of(call, await overview.overview(call, asked, datetime.now(UTC)))


async def _get_queue(payloads: Payloads, definition: str) -> Queue:
    call = payloads.call
    await call.may("list", names.TASK_RUNS)
    key = Key(call.scope.one(), names.definition_name(definition))
    known = call.cache.definitions.get(key)
    shown = None if known is None or known.spec.private else known
    return Queue.of(names.definition_id(key.name), shown, call.services.queues.of(key), payloads)


async def _who_am_i(payloads: Payloads) -> CallerInfo:
    call = payloads.call
    user = await call.services.access.user(call.caller)
    return CallerInfo(payloads=payloads, identity=Identity.of(user), namespace=call.scope.namespace or ALL_NAMESPACES)


async def _validate(call: Call, definition: str, input: object) -> InputCheck:
    call.budget.take_fetch()
    async with call.mutating:  # one check of an operation at a time: all callers share one process
        fields, problem = await writing.validate(call, definition, input)
    return InputCheck(is_valid=not fields, invalid_fields=Json(fields), problem=problem)


def _in_utc(moment: datetime | None) -> datetime | None:
    return None if moment is None else in_utc(moment)


async def _pod_logs(call: Call, ident: str, pod: str | None, tail: int) -> PodLogsResponse:
    key = await call.task_key("get", ident)
    run = call.cache.runs.get(key)
    if run is None:
        raise TaskNotFoundError(ident)
    if pod is not None and (names.run_of(pod) != key.name or not call.scope.is_name(pod)):
        raise ValidationError("This is not a pod of the task.", "pod")
    name = pod or (run.status.current.pod_name if run.status.current else None)
    if name is None:
        return PodLogsResponse()
    lines = max(1, min(tail, MAX_POD_LINES))
    text = await podlogs.tail(call, Key(key.namespace, name), lines)
    if text is None:
        text = await _kept(call, Key(key.namespace, name), lines)
    return PodLogsResponse(data=text, pod_name=name)


async def _kept(call: Call, pod: Key, lines: int) -> str | None:
    """Return the last lines of a deleted pod from its record, if the caller may read records."""
    console = (await fetch(call, TASK_ITERATIONS, pod)).get("console") or {}
    kept = console.get("text", "").splitlines(keepends=True)[-lines:]
    return "".join(kept) or None
