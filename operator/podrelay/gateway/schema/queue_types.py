"""The types of a queue: who has a slot, and who waits."""

import strawberry

from podrelay.gateway.event_loop.turns import paced
from podrelay.gateway.objects import Definition, Run
from podrelay.gateway.ordered import Ordered
from podrelay.gateway.payloads import Payloads
from podrelay.gateway.query.listing import page_size
from podrelay.gateway.queues import Line, Place
from podrelay.gateway.schema.definition_types import DefinitionLimits
from podrelay.gateway.schema.describing import described
from podrelay.gateway.schema.envelope import Error
from podrelay.gateway.schema.types import Task


@strawberry.type(
    name="WebinyBackgroundTaskQueue", description="The tasks of a definition that have a pod, or wait for a slot."
)
class Queue:
    """The line of one definition."""

    line: strawberry.Private[Line]
    payloads: strawberry.Private[Payloads]
    definition_id: str
    limits: DefinitionLimits | None = strawberry.field(description="Null if the definition does not exist.")
    active: int = strawberry.field(description="Tasks that have a pod, and with it a slot.")
    waiting: int = strawberry.field(description="Tasks that wait for a slot.")

    @classmethod
    def of(cls, definition_id: str, definition: Definition | None, line: Line, payloads: Payloads) -> "Queue":
        """Return the queue of a definition."""
        return cls(
            line=line,
            payloads=payloads,
            definition_id=definition_id,
            limits=DefinitionLimits.of(definition) if definition is not None else None,
            active=len(line.holding),
            waiting=len(line.waiting),
        )

    @described
    def active_tasks(self, limit: int = 50, offset: int = 0) -> list[Task] | None:
        """The tasks that have a slot, oldest first."""
        return self._tasks(self.line.holding, limit, offset)

    @described
    def waiting_tasks(self, limit: int = 50, offset: int = 0) -> list[Task] | None:
        """The tasks that wait, in the order in which they get a slot; the first one has position `offset` + 1."""
        return self._tasks(self.line.waiting, limit, offset)

    def _tasks(self, places: Ordered[Place], limit: int, offset: int) -> list[Task]:
        call = self.payloads.call
        keys = self.line.keys(places, max(0, offset), page_size(call, limit))
        self.payloads.budget.take_rows(len(keys))
        runs: list[Run] = [run for run in map(call.cache.runs.get, keys) if run is not None]
        return paced(call.services.turns, runs, lambda run: Task.of(run, self.payloads))


@strawberry.type(name="WebinyBackgroundTaskQueueResponse")
class QueueResponse:
    """The queue."""

    data: Queue | None = None
    error: Error | None = None
