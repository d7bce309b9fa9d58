"""The types of an attempt, and of its pod as the API server shows it."""

from collections.abc import Mapping

import strawberry

from podrelay.gateway.objects import Record
from podrelay.gateway.payloads import Object, Payloads
from podrelay.gateway.pods import PodState, read
from podrelay.gateway.query import attempts
from podrelay.gateway.schema.describing import described
from podrelay.gateway.schema.line_types import Console
from podrelay.gateway.schema.scalars import DateTime, Json, Number, json_or_null, time_or_null
from podrelay.kube.resources import Key


@strawberry.type(name="WebinyBackgroundTaskPod", description="A pod, while it exists.")
class Pod:
    """The state of a pod and of the container that does the work."""

    name: str
    phase: str | None = strawberry.field(description="Pending, Running, Succeeded, Failed or Unknown.")
    reason: str | None = strawberry.field(description="Why its container waits or has ended, or why the pod failed.")
    message: str | None
    node_name: str | None
    image: str | None
    exit_code: int | None = strawberry.field(description="Of its container; null until it has ended.")
    restarts: int
    created_on: DateTime
    scheduled_on: DateTime | None
    started_on: DateTime | None = strawberry.field(description="When its container started.")
    finished_on: DateTime | None = strawberry.field(description="When its container ended.")
    deleted_on: DateTime | None = strawberry.field(description="When its deletion takes effect, if it was requested.")

    @classmethod
    def of(cls, pod: PodState) -> "Pod":
        """Return a pod."""
        return cls(
            name=pod.metadata.name,
            phase=pod.status.phase,
            reason=pod.reason,
            message=pod.message,
            node_name=pod.spec.node_name,
            image=pod.image,
            exit_code=pod.exit_code,
            restarts=pod.restarts,
            created_on=DateTime(pod.metadata.creation_timestamp),
            scheduled_on=time_or_null(pod.scheduled_at),
            started_on=time_or_null(pod.started_at),
            finished_on=time_or_null(pod.finished_at),
            deleted_on=time_or_null(pod.metadata.deletion_timestamp),
        )


@strawberry.type(
    name="WebinyBackgroundTaskAttempt", description="One attempt of an iteration: one pod. See `history` of a task."
)
class Attempt:
    """An attempt: plain fields are from the cache, the others are read if they are queried."""

    run: strawberry.Private[Key]
    payloads: strawberry.Private[Payloads]
    known: strawberry.Private[attempts.Attempt]
    records: strawberry.Private[Mapping[int, list[Record]]]
    id: str
    iteration: Number = strawberry.field(description="From 1; 0 for a pod that only calls hooks.")
    attempt: int = strawberry.field(description="The attempt of the iteration, from 1.")
    pod_name: str
    hook: str | None = strawberry.field(description="The hook that the pod calls, if it runs no iteration.")
    answer: str | None = strawberry.field(
        description="done, continue, error, aborted, or disrupted (the cluster removed its pod); null until then."
    )
    message: str | None = strawberry.field(description="Its answer in plain text, or why it ended.")
    error_code: str | None = strawberry.field(description="For error: one word, such as OOMKilled or ValueError.")
    cause: str | None = strawberry.field(
        description="PodFailure or Timeout, if the operator wrote the answer because the pod could not."
    )
    created_on: DateTime | None = strawberry.field(description="When its record was created, before the task's code.")
    started_on: DateTime | None = strawberry.field(description="When its container, or the runner in it, started.")
    finished_on: DateTime | None
    node_name: str | None
    image: str | None
    wait_seconds: Number | None = strawberry.field(description="For continue: wait so long before the next iteration.")
    wait_until: DateTime | None = strawberry.field(description="For continue: wait until then.")
    waits_for_children: bool = strawberry.field(description="For continue: wait until its children have finished.")
    waits_for_signals: list[str] = strawberry.field(description="For continue: wait for one of these signals.")

    @classmethod
    def of(
        cls, known: attempts.Attempt, run: Key, records: Mapping[int, list[Record]], payloads: Payloads
    ) -> "Attempt":
        """Return an attempt of a run.

        Args:
            known: the attempt.
            run: the run.
            records: all records of the run, by iteration.
            payloads: reads what is not in the cache.
        """
        record = known.record
        response = record.response if record else None
        wait = response.wait_seconds if response else None
        return cls(
            run=run,
            payloads=payloads,
            known=known,
            records=records,
            id=payloads.call.scope.ident(Key(run.namespace, known.pod_name)),
            iteration=Number(known.iteration),
            attempt=known.attempt,
            pod_name=known.pod_name,
            hook=record.hook if record else None,
            answer=known.answer,
            message=known.message,
            error_code=response.error.code if response and response.error else None,
            cause=record.metadata.annotations.cause if record else None,
            created_on=DateTime(record.metadata.creation_timestamp) if record else None,
            started_on=time_or_null(known.started_at),
            finished_on=time_or_null(known.finished_at),
            node_name=record.node_name if record else None,
            image=record.image if record else None,
            wait_seconds=None if wait is None else Number(wait),
            wait_until=time_or_null(response.wait_until) if response else None,
            waits_for_children=bool(response and response.wait_for_children),
            waits_for_signals=list(response.wait_for_signal.names) if response and response.wait_for_signal else [],
        )

    @described
    async def input(self) -> Json | None:
        """The state that it began with; null if the record that has it was deleted, see `historyLimit`."""
        start = attempts.start_of(self.known, self.records)
        if start is None:
            if self.known.iteration != 1:
                return None
            spec = (await self.payloads.run(self.run)).get("spec")
            return None if spec is None else Json(spec.get("input") or {})
        part, record = start
        stored = await self.payloads.record(record.key)
        return json_or_null((stored.get(part) or {}).get("input"))

    @described
    async def checkpoint(self) -> Json | None:
        """The state that it has stored in between, with `input` and `output`; kept until there is another answer."""
        if self.known.record is None or self.known.record.checkpoint is None:
            return None
        return json_or_null((await self._stored()).get("checkpoint"))

    @described
    async def next_input(self) -> Json | None:
        """For continue: the state that it hands on to the next iteration."""
        return None if self.answer != "continue" else json_or_null((await self._response()).get("input"))

    @described
    async def output(self) -> Json | None:
        """The result so far."""
        if self.known.record is None and self.answer in {"done", "aborted"}:
            # With `recordLogs: false`, an attempt may need no record.
            return json_or_null((await self.payloads.run(self.run)).get("status", {}).get("output"))
        return None if self.answer is None else json_or_null((await self._response()).get("output"))

    @described
    async def error(self) -> Json | None:
        """For error: message, code and data."""
        return None if self.answer != "error" else json_or_null((await self._response()).get("error"))

    @described
    async def exit_code(self) -> int | None:
        """The exit code of a pod that ended without an answer, if it is known."""
        if self.cause is None:
            return None
        error = (await self._response()).get("error") or {}
        return attempts.exit_code(error.get("code"), error.get("message") or "")

    @described
    async def console(self) -> Console | None:
        """The end of what its pod has printed, once it has answered; null if it has printed nothing."""
        stored = (await self._stored()).get("console")
        return Console.of(stored) if stored else None

    @described
    async def pod(self) -> Pod | None:
        """Its pod; null if it no longer exists. Needs the right to get pods."""
        self.payloads.budget.take_fetch()
        found = await read(self.payloads.call, Key(self.run.namespace, self.pod_name), self.payloads.budget)
        return Pod.of(found) if found is not None else None

    async def _stored(self) -> Object:
        return await self.payloads.record(self.known.record.key) if self.known.record is not None else {}

    async def _response(self) -> Object:
        return (await self._stored()).get("response") or {}
