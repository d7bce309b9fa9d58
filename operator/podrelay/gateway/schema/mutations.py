"""Mutations: with the caller's token, so that the API server decides.

Rights are checked before anything is looked up. Whatever is refused stands in the answer of its own field, as an error
of GraphQL would take the answers of those with it that have succeeded. Those of one document go one after the other.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import strawberry

from podrelay.api import names
from podrelay.gateway import settings, writing
from podrelay.gateway.call import Call
from podrelay.gateway.errors import UnavailableError
from podrelay.gateway.measuring import measured
from podrelay.gateway.objects import Run
from podrelay.gateway.payloads import Payloads
from podrelay.gateway.schema.describing import described
from podrelay.gateway.schema.envelope import Error, envelope
from podrelay.gateway.schema.scalars import DateTime, Json, Number
from podrelay.gateway.schema.types import (
    DeleteResponse,
    Ident,
    Info,
    Settings,
    SettingsResponse,
    Task,
    TaskResponse,
    TriggerResponse,
)
from podrelay.kube.resources import Key

T = TypeVar("T")


@strawberry.input(name="UpdateBackgroundTaskSettingsInput")
class SettingsInput:
    """What is to be changed."""

    retention_days: int | None = strawberry.field(default=None, description="0 to 3650; null: the operator's default.")


@strawberry.type(name="WebinyBackgroundTaskMutation")
class BackgroundTaskMutation:
    """What can be changed."""

    payloads: strawberry.Private[Payloads]

    @measured("mutation")
    async def trigger_task(
        self,
        definition: str,
        input: Json | None = None,
        name: str | None = None,
        delay: Number | None = None,
        start_at: DateTime | None = None,
        parent: strawberry.ID | None = None,
        idempotency_key: str | None = None,
    ) -> TriggerResponse:
        """Start a task, at once, after `delay` seconds, or at a time. With the same key it is started once only."""
        wanted = {"input": input, "name": name, "delay": delay, "start_at": start_at, "key": idempotency_key}
        data, error = await self._task(
            lambda: self._create(lambda call: writing.trigger(call, definition, parent, **wanted))
        )
        return TriggerResponse(data=data, error=error)

    @measured("mutation")
    async def rerun_task(self, id_: Ident, input: Json | None = None, name: str | None = None) -> TriggerResponse:
        """Start a task with the definition and input of another one, or with another input."""
        data, error = await self._task(lambda: self._create(lambda call: writing.rerun(call, id_, input, name)))
        return TriggerResponse(data=data, error=error)

    @measured("mutation")
    async def abort_task(self, id_: Ident, message: str | None = None, cascade: bool = False) -> TaskResponse:
        """Stop a task; with `cascade` all tasks that it has started, too. It is running until its pod has ended."""
        data, error = await self._task(
            lambda: self._change(
                "patch", id_, lambda call, key: writing.abort(call, key, id_, message, cascade=cascade)
            )
        )
        return TaskResponse(data=data, error=error)

    @measured("mutation")
    async def suspend_task(self, id_: Ident, suspend: bool = True) -> TaskResponse:
        """Let a task start no further pod, or let it go on with `suspend: false`."""
        data, error = await self._task(
            lambda: self._change("patch", id_, lambda call, key: writing.suspend(call, key, id_, suspended=suspend))
        )
        return TaskResponse(data=data, error=error)

    @measured("mutation")
    async def delete_task(self, id_: Ident, cascade: bool = True) -> DeleteResponse:
        """Delete a task with its logs, and with the tasks that it has started unless `cascade` is false."""
        _, error = await self._in_turn(
            lambda: self._change("delete", id_, lambda call, key: writing.delete(call, key, id_, cascade=cascade))
        )
        return DeleteResponse(data=None if error else True, error=error)

    @measured("mutation")
    async def update_settings(self, input: SettingsInput) -> SettingsResponse | None:
        """Change settings of the namespace."""
        data, error = await self._in_turn(lambda: settings.set_retention_days(self.payloads.call, input.retention_days))
        return SettingsResponse(data=None if data is None else Settings(retention_days=data), error=error)

    async def _create(self, work: Callable[[Call], Awaitable[T]]) -> T:
        call = self.payloads.call
        await call.may("create", names.TASK_RUNS)
        return await work(call)

    async def _change(self, verb: str, ident: str, work: Callable[[Call, Key], Awaitable[T]]) -> T:
        call = self.payloads.call
        return await work(call, await call.task_key(verb, ident))

    async def _task(self, work: Callable[[], Awaitable[Run]]) -> tuple[Task | None, Error | None]:
        run, error = await self._in_turn(work)
        return Task.of(run, self.payloads) if run else None, error

    async def _in_turn(self, work: Callable[[], Awaitable[T]]) -> tuple[T | None, Error | None]:
        """Do one mutation after those that stand before it in the document."""
        async with self.payloads.call.mutating:
            return await envelope(self._in_time(work))

    async def _in_time(self, work: Callable[[], Awaitable[T]]) -> T:
        call = self.payloads.call
        seconds = call.services.limits.seconds
        if call.ends_at is not None and call.ends_at <= asyncio.get_running_loop().time():
            raise UnavailableError(f"This was not begun: the time of {seconds:g} s for all mutations was over.")
        try:
            async with asyncio.timeout_at(call.ends_at):
                return await work()
        except TimeoutError as error:
            raise UnavailableError(
                f"This took longer than {seconds:g} s, and may still happen: look, or try again with an idempotencyKey."
            ) from error


@strawberry.type
class Mutation:
    """The root of mutations."""

    @described
    def background_tasks(self, info: Info) -> BackgroundTaskMutation | None:
        """Background tasks of the namespace."""
        return BackgroundTaskMutation(payloads=Payloads(info.context))
