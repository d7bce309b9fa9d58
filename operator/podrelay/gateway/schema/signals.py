"""Signals in the schema: tasks that wait for them, and the mutation that sends one."""

from datetime import datetime
from enum import Enum

import strawberry

from podrelay.api import names
from podrelay.gateway import signals
from podrelay.gateway.payloads import Object, Payloads
from podrelay.gateway.query import listing
from podrelay.gateway.query.filters import Condition
from podrelay.gateway.query.listing import Listing
from podrelay.gateway.schema.envelope import Error, envelope
from podrelay.gateway.schema.in_turn import in_turn
from podrelay.gateway.schema.inputs import TaskWhere, task_conditions
from podrelay.gateway.schema.measuring import measured
from podrelay.gateway.schema.scalars import DateTime, Json
from podrelay.gateway.schema.types import Ident, TaskListResponse

_WAITING = Condition("reason", "", "WaitingForSignal")


@strawberry.enum(name="BackgroundTaskDecision")
class Decision(Enum):
    """A decision about a task."""

    APPROVE = "Approve"
    REJECT = "Reject"


@strawberry.type(name="BackgroundTaskSignal", description="A signal that was sent to a task.")
class Signal:
    """A TaskSignal."""

    id: str = strawberry.field(description="Name of the TaskSignal, which identifies the event.")
    task: str = strawberry.field(description="Id of the task.")
    signal: str
    payload: Json
    decision: Decision | None
    sender: str | None
    phase: str = strawberry.field(description="Pending, Consumed or Rejected.")
    reason: str | None = strawberry.field(description="Why it was rejected.")
    message: str | None
    created_on: DateTime

    @classmethod
    def of(cls, task: str, stored: Object) -> "Signal":
        """Return the signal of a TaskSignal resource."""
        about, spec, status = stored["metadata"], stored["spec"], stored.get("status") or {}
        return cls(
            id=about["name"],
            task=task,
            signal=spec["signal"],
            payload=Json(spec.get("payload") or {}),
            decision=Decision(spec["decision"]) if spec.get("decision") else None,
            sender=(about.get("annotations") or {}).get(names.ANNOTATION_CREATED_BY),
            phase=status.get("phase") or "Pending",
            reason=status.get("reason"),
            message=status.get("message"),
            created_on=DateTime(datetime.fromisoformat(about["creationTimestamp"])),
        )


@strawberry.type(name="BackgroundTaskSignalResponse")
class SignalResponse:
    """A signal, or why it was not sent."""

    data: Signal | None = None
    error: Error | None = None


@strawberry.type
class SignalQueries:
    """Queries about signals."""

    payloads: strawberry.Private[Payloads]

    @measured("query")
    async def list_waiting(
        self, where: TaskWhere | None = None, limit: int | None = None, after: str | None = None
    ) -> TaskListResponse:
        """A page of the tasks that wait for signals or approvals, newest first; `waitingFor` says for which."""
        asked = Listing([*task_conditions(where), _WAITING], (), limit, after)
        data, error = await envelope(_waiting(self.payloads, asked))
        return data or TaskListResponse(error=error)


@strawberry.type
class SignalMutations:
    """Mutations that send signals."""

    payloads: strawberry.Private[Payloads]

    @measured("mutation")
    async def signal_task(
        self,
        id_: Ident,
        signal: str,
        payload: Json | None = None,
        decision: Decision | None = None,
        idempotency_key: str | None = None,
    ) -> SignalResponse:
        """Send a signal to a task, or decide about it. Calls with the same key send one signal."""
        call = self.payloads.call
        chosen = decision.value if decision is not None else None
        stored, error = await in_turn(call, lambda: signals.send(call, id_, signal, payload, chosen, idempotency_key))
        return SignalResponse(data=None if stored is None else Signal.of(id_, stored), error=error)


async def _waiting(payloads: Payloads, asked: Listing) -> TaskListResponse:
    await payloads.call.may("list", names.TASK_RUNS)
    return TaskListResponse.of(await listing.tasks(payloads.call, asked), payloads)
