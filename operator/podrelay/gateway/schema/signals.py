"""Signals in the schema: tasks that wait for them, and the mutation that sends one."""

from dataclasses import replace
from functools import partial

import strawberry

from podrelay.api import names
from podrelay.gateway import awaited, signals
from podrelay.gateway.payloads import Payloads
from podrelay.gateway.query import listing
from podrelay.gateway.query.filters import Condition
from podrelay.gateway.query.listing import Listing
from podrelay.gateway.schema.envelope import Error, envelope
from podrelay.gateway.schema.in_turn import in_turn
from podrelay.gateway.schema.inputs import TaskWhere, task_conditions
from podrelay.gateway.schema.measuring import measured
from podrelay.gateway.schema.scalars import Json
from podrelay.gateway.schema.signal_types import Decision, Signal
from podrelay.gateway.schema.types import Ident, TaskListResponse

_WAITING = (
    Condition("reason", "", "WaitingForSignal"),
    # An index: most tasks of a namespace have finished.
    Condition("taskStatus", "in", ["pending", "running"]),
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
        self,
        where: TaskWhere | None = None,
        limit: int | None = None,
        after: str | None = None,
        mine: bool = False,
    ) -> TaskListResponse:
        """A page of the tasks that wait for signals or approvals, newest first; `waitingFor` says for which.

        With `mine`, only those that the caller may answer.
        """
        asked = Listing([*task_conditions(where), *_WAITING], (), limit, after)
        data, error = await envelope(_waiting(self.payloads, asked, mine=mine))
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


async def _waiting(payloads: Payloads, asked: Listing, *, mine: bool) -> TaskListResponse:
    call = payloads.call
    await call.may("list", names.TASK_RUNS)
    if mine:
        callers = await awaited.senders(call)
        asked = replace(asked, also=partial(awaited.may_answer, call.cache, callers))
    return TaskListResponse.of(await listing.tasks(call, asked), payloads)
