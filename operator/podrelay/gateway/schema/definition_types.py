"""The types of definitions: what a task needs, which limits it has, and how its runs have fared."""

from collections.abc import Iterable

import strawberry

from podrelay.api import names
from podrelay.gateway.event_loop.turns import paced
from podrelay.gateway.objects import Definition
from podrelay.gateway.payloads import Payloads, without_managed_fields
from podrelay.gateway.query import listing
from podrelay.gateway.query.filters import Condition
from podrelay.gateway.query.listing import Listing
from podrelay.gateway.schema.describing import described
from podrelay.gateway.schema.envelope import Error
from podrelay.gateway.schema.scalars import Json, Number, json_or_null
from podrelay.gateway.schema.signal_types import SignalType
from podrelay.gateway.schema.statistics_types import DefinitionStatistics
from podrelay.gateway.schema.types import Task


@strawberry.type(name="WebinyBackgroundTaskRetryPolicy", description="Whether and when a failed iteration is retried.")
class RetryPolicy:
    """`spec.retry` of a definition."""

    limit: int = strawberry.field(description="Retries of an iteration; 0: none.")
    initial_seconds: int
    factor: Number
    max_seconds: int
    on: list[str] = strawberry.field(description="Error, PodFailure, Timeout.")


@strawberry.type(
    name="WebinyBackgroundTaskConcurrency", description="The limit for tasks with the same value of an input field."
)
class Concurrency:
    """`spec.concurrency` of a definition."""

    key: str = strawberry.field(description="Path of the input field, such as customer.id.")
    limit: int


@strawberry.type(name="WebinyBackgroundTaskDefinitionLimits", description="The limits of a definition, with defaults.")
class DefinitionLimits:
    """What bounds a run of a definition."""

    max_iterations: int
    max_concurrent_runs: int | None = strawberry.field(description="Tasks with a pod at the same time; null: no limit.")
    concurrency: Concurrency | None
    max_children: int = strawberry.field(description="Unfinished children of a task at the same time.")
    iteration_timeout_seconds: int
    pending_timeout_seconds: int = strawberry.field(description="How long a pod may fail to start.")
    abort_grace_period_seconds: int = strawberry.field(description="What a pod has to clean up when it is aborted.")
    heartbeat_timeout_seconds: int | None
    retry: RetryPolicy
    disruption_retries: int
    ttl_seconds_after_finished: int | None
    history_iterations: int = strawberry.field(description="Attempts whose records are kept for each task.")
    history_runs: int = strawberry.field(description="Finished tasks that are kept.")

    @classmethod
    def of(cls, definition: Definition) -> "DefinitionLimits":
        """Return the limits of a definition."""
        spec = definition.spec
        retry, concurrency = spec.retry, spec.concurrency
        return cls(
            max_iterations=spec.max_iterations,
            max_concurrent_runs=spec.max_concurrent_runs,
            concurrency=Concurrency(key=concurrency.key, limit=concurrency.limit) if concurrency else None,
            max_children=spec.max_children,
            iteration_timeout_seconds=spec.iteration_timeout_seconds,
            pending_timeout_seconds=spec.pending_timeout_seconds,
            abort_grace_period_seconds=spec.abort_grace_period_seconds,
            heartbeat_timeout_seconds=spec.heartbeat_timeout_seconds,
            retry=RetryPolicy(
                limit=retry.limit,
                initial_seconds=retry.initial_seconds,
                factor=Number(retry.factor),
                max_seconds=retry.max_seconds,
                on=list(retry.on),
            ),
            disruption_retries=spec.disruption_retries,
            ttl_seconds_after_finished=spec.ttl_seconds_after_finished,
            history_iterations=spec.history_limit.iterations,
            history_runs=spec.history_limit.runs,
        )


@strawberry.type(
    name="WebinyBackgroundTaskDefinitionReadiness", description="Whether pods can be created from the template."
)
class Readiness:
    """The condition Ready of a definition."""

    is_ready: bool
    reason: str = strawberry.field(description="PodAccepted, PodRejected, InvalidTemplate or InvalidInputSchema.")
    message: str


@strawberry.type(
    name="WebinyBackgroundTaskDefinition", description="A kind of task that can be triggered: a TaskDefinition."
)
class TaskDefinition:
    """A definition; private ones are never shown."""

    id: str
    title: str
    description: str | None
    fields: Json | None = strawberry.field(
        description="A field of Webiny 5; always empty. `inputSchema` describes the input."
    )
    max_iterations: int
    max_concurrent_runs: int | None
    active_runs: int | None = strawberry.field(description="Tasks with a pod.")
    queued_runs: int | None = strawberry.field(description="Tasks that wait for a free slot.")
    namespace: str
    name: str = strawberry.field(description="Name of the TaskDefinition, such as import-products.")
    suspended: bool = strawberry.field(description="No further pods of its tasks are created.")
    readiness: Readiness | None = strawberry.field(description="Null until the operator has seen the definition.")
    limits: DefinitionLimits
    hooks: list[str] = strawberry.field(description="Lifecycle hooks that the code of the task has.")
    triggers: list[str] = strawberry.field(description="Ids of the definitions whose tasks it may start; * means all.")
    allow_overrides: list[str] = strawberry.field(
        description="The settings that a task may change with `overrides`: resources, env, env.NAME, ..."
    )
    reporting: str = strawberry.field(description="API or TerminationMessage: how a pod reports its answer.")
    handover: str = strawberry.field(description="Ahead or AfterEnd: when the pod of the next iteration is created.")
    standby_after_seconds: int | None = strawberry.field(
        description="How long an iteration runs before the pod of the next one is created; null: never."
    )
    signals: list[SignalType] | None = strawberry.field(
        description="The signals that its tasks understand; null: all signals are accepted."
    )
    definition: strawberry.Private[Definition]
    payloads: strawberry.Private[Payloads]

    @described
    async def input_schema(self) -> Json | None:
        """JSON Schema of its input; null if any JSON object is valid."""
        if self.definition.spec.input_schema is None:
            return None
        stored = await self.payloads.definition(self.definition.key)
        return json_or_null(stored.get("spec", {}).get("inputSchema"))

    @described
    async def manifest(self) -> Json | None:
        """The TaskDefinition as kubectl shows it, without managedFields."""
        return json_or_null(without_managed_fields(await self.payloads.definition(self.definition.key)))

    @described
    async def statistics(self) -> DefinitionStatistics | None:
        """Counts and durations of its tasks that still exist; for a part of them see `overview`."""
        call, key = self.payloads.call, self.definition.key
        await call.may("list", names.TASK_RUNS)
        return DefinitionStatistics.of(call.services.tallies.of(key.namespace).of_definition(key.name))

    @described
    async def last_tasks(self, limit: int = 5) -> list[Task] | None:
        """Its newest tasks."""
        call = self.payloads.call
        await call.may("list", names.TASK_RUNS)
        where = [Condition("definitionId", "", self.id), Condition("namespace", "", self.namespace)]
        page = await listing.tasks(call, Listing(where, limit=limit))
        self.payloads.budget.take_rows(len(page.items))
        return paced(call.services.turns, page.items, lambda run: Task.of(run, self.payloads))

    @classmethod
    def of(cls, definition: Definition, payloads: Payloads) -> "TaskDefinition":
        """Return a definition."""
        spec, status = definition.spec, definition.status
        return cls(
            id=spec.id,
            title=spec.title,
            description=spec.description,
            fields=Json([]),
            max_iterations=spec.max_iterations,
            max_concurrent_runs=spec.max_concurrent_runs,
            active_runs=status.active_runs,
            queued_runs=status.queued_runs,
            namespace=definition.metadata.namespace,
            name=definition.metadata.name,
            suspended=spec.suspend,
            readiness=_readiness(definition),
            limits=DefinitionLimits.of(definition),
            hooks=list(spec.hooks),
            triggers=[name if name == "*" else names.definition_id(name) for name in spec.triggers],
            allow_overrides=list(spec.allow_overrides),
            reporting=spec.reporting,
            handover=spec.handover,
            standby_after_seconds=spec.standby.after_seconds if spec.standby else None,
            signals=None
            if spec.signals is None
            else [SignalType.of(one, definition.key, payloads) for one in spec.signals],
            definition=definition,
            payloads=payloads,
        )


@strawberry.type(name="WebinyBackgroundTaskListDefinitionsResponse")
class DefinitionsResponse:
    """All definitions that can be triggered."""

    data: list[TaskDefinition] | None = None
    error: Error | None = None


@strawberry.type(name="WebinyBackgroundTaskDefinitionResponse")
class DefinitionResponse:
    """One definition; null if it does not exist, or is private."""

    data: TaskDefinition | None = None
    error: Error | None = None


def shown_definitions(payloads: Payloads, definitions: Iterable[Definition]) -> list[TaskDefinition]:
    """Return the definitions that can be triggered, sorted by id."""
    shown = [definition for definition in definitions if not definition.spec.private]
    shown.sort(key=lambda definition: (definition.spec.id, definition.metadata.namespace))
    return paced(payloads.call.services.turns, shown, lambda definition: TaskDefinition.of(definition, payloads))


def _readiness(definition: Definition) -> Readiness | None:
    found = definition.status.ready
    return Readiness(is_ready=found.status == "True", reason=found.reason, message=found.message) if found else None
