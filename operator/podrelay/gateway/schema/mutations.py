"""Mutations: made with the caller's token, so that the API server authorizes them.

Rights are checked before anything is looked up. A refused mutation returns an error in the answer of its field, because
a GraphQL error would also discard the answers of other mutations that succeeded. The mutations of a document run one
after the other.
"""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, TypeVar

import strawberry

from podrelay.api import names
from podrelay.gateway import bulk, settings, writing
from podrelay.gateway.bulk import Selection
from podrelay.gateway.call import Call
from podrelay.gateway.errors import UnavailableError
from podrelay.gateway.objects import Run
from podrelay.gateway.payloads import Payloads
from podrelay.gateway.query.listing import Listing
from podrelay.gateway.schema.bulk_types import BulkResponse
from podrelay.gateway.schema.describing import described
from podrelay.gateway.schema.envelope import Error, envelope
from podrelay.gateway.schema.inputs import TaskWhere, task_conditions
from podrelay.gateway.schema.measuring import measured
from podrelay.gateway.schema.scalars import DateTime, Json, Number
from podrelay.gateway.schema.schedules import ScheduleMutations
from podrelay.gateway.schema.signals import SignalMutations
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
    """The settings to change."""

    retention_days: int | None = strawberry.field(default=None, description="0 to 3650; null: the operator's default.")


@strawberry.type(name="WebinyBackgroundTaskMutation")
class BackgroundTaskMutation(ScheduleMutations, SignalMutations):
    """Mutations of background tasks."""

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
        overrides: Json | None = None,
    ) -> TriggerResponse:
        """Start a task: at once, after `delay` seconds, or at `startAt`. Calls with the same key start one task.

        `overrides` are settings of the definition that are different for this task, as spec.overrides of a TaskRun; the
        definition has to allow each of them, see its `allowOverrides`.
        """
        wanted = {
            "input": input,
            "name": name,
            "delay": delay,
            "start_at": start_at,
            "key": idempotency_key,
            "overrides": overrides,
        }
        data, error = await self._task(
            lambda: self._create(lambda call: writing.trigger(call, definition, parent, **wanted))
        )
        return TriggerResponse(data=data, error=error)

    @measured("mutation")
    async def rerun_task(
        self, id_: Ident, input: Json | None = None, name: str | None = None, overrides: Json | None = None
    ) -> TriggerResponse:
        """Start a task with the definition of another task, and with its input and overrides or new ones."""
        data, error = await self._task(
            lambda: self._create(lambda call: writing.rerun(call, id_, input, name, overrides))
        )
        return TriggerResponse(data=data, error=error)

    @measured("mutation")
    async def reschedule_task(
        self, id_: Ident, start_at: DateTime | None = None, delay: Number | None = None
    ) -> TaskResponse:
        """Let a task start at another time, or `delay` seconds from now; without both, at once.

        Possible until it has started. If its pod is created at the same moment, it starts nevertheless; its `message`
        says so.
        """
        data, error = await self._task(
            lambda: self._change(
                "patch", id_, lambda call, key: writing.reschedule(call, key, id_, start_at=start_at, delay=delay)
            )
        )
        return TaskResponse(data=data, error=error)

    @measured("mutation")
    async def abort_task(self, id_: Ident, message: str | None = None, cascade: bool = False) -> TaskResponse:
        """Abort a task; with `cascade` also all tasks that it has started. It is running until its pod has ended."""
        data, error = await self._task(
            lambda: self._change(
                "patch", id_, lambda call, key: writing.abort(call, key, id_, message, cascade=cascade)
            )
        )
        return TaskResponse(data=data, error=error)

    @measured("mutation")
    async def suspend_task(self, id_: Ident, suspend: bool = True) -> TaskResponse:
        """Suspend a task, so that no further pod is created; `suspend: false` resumes it."""
        data, error = await self._task(
            lambda: self._change("patch", id_, lambda call, key: writing.suspend(call, key, id_, suspended=suspend))
        )
        return TaskResponse(data=data, error=error)

    @measured("mutation")
    async def delete_task(self, id_: Ident, cascade: bool = True) -> DeleteResponse:
        """Delete a task and its logs, and unless `cascade` is false also the tasks that it has started."""
        _, error = await self._in_turn(
            lambda: self._change("delete", id_, lambda call, key: writing.delete(call, key, id_, cascade=cascade))
        )
        return DeleteResponse(data=None if error else True, error=error)

    @measured("mutation")
    async def abort_tasks(
        self,
        ids: list[strawberry.ID] | None = None,
        where: TaskWhere | None = None,
        search: str | None = None,
        limit: int | None = None,
        after: str | None = None,
        message: str | None = None,
        cascade: bool = False,
    ) -> BulkResponse:
        """Abort up to 100 tasks: those with these ids, or a page of those that a filter finds, newest first."""
        return await self._each(
            selection(ids, where, search, limit, after),
            "patch",
            lambda call, key, ident: writing.abort(call, key, ident, message, cascade=cascade),
        )

    @measured("mutation")
    async def suspend_tasks(
        self,
        ids: list[strawberry.ID] | None = None,
        where: TaskWhere | None = None,
        search: str | None = None,
        limit: int | None = None,
        after: str | None = None,
        suspend: bool = True,
    ) -> BulkResponse:
        """Suspend up to 100 tasks, or with `suspend: false` resume them; selected as by `abortTasks`."""
        return await self._each(
            selection(ids, where, search, limit, after),
            "patch",
            lambda call, key, ident: writing.suspend(call, key, ident, suspended=suspend),
        )

    @measured("mutation")
    async def rerun_tasks(
        self,
        ids: list[strawberry.ID] | None = None,
        where: TaskWhere | None = None,
        search: str | None = None,
        limit: int | None = None,
        after: str | None = None,
    ) -> BulkResponse:
        """Start up to 100 tasks with the definitions and inputs of others; selected as by `abortTasks`."""
        return await self._each(
            selection(ids, where, search, limit, after),
            "create",
            lambda call, _key, ident: writing.rerun(call, ident),
        )

    @measured("mutation")
    async def delete_tasks(
        self,
        ids: list[strawberry.ID] | None = None,
        where: TaskWhere | None = None,
        search: str | None = None,
        limit: int | None = None,
        after: str | None = None,
        cascade: bool = True,
    ) -> BulkResponse:
        """Delete up to 100 tasks, and unless `cascade` is false their children; selected as by `abortTasks`."""
        return await self._each(
            selection(ids, where, search, limit, after),
            "delete",
            lambda call, key, ident: writing.delete(call, key, ident, cascade=cascade),
        )

    @measured("mutation")
    async def update_settings(self, input: SettingsInput) -> SettingsResponse | None:
        """Change the settings of the namespace."""
        data, error = await self._in_turn(lambda: settings.set_retention_days(self.payloads.call, input.retention_days))
        return SettingsResponse(data=None if data is None else Settings(retention_days=data), error=error)

    async def _each(
        self, selected: Selection, verb: str, work: Callable[[Call, Key, str], Awaitable[Run | None]]
    ) -> BulkResponse:
        """Change each selected task, after the mutations that precede this one in the document."""
        call = self.payloads.call
        async with call.mutating:
            found, error = await envelope(bulk.change(call, selected, verb, partial(work, call)))
        return BulkResponse.of(found, self.payloads) if found is not None else BulkResponse(error=error)

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
        """Run a mutation after those that precede it in the document."""
        async with self.payloads.call.mutating:
            return await envelope(self._in_time(work))

    async def _in_time(self, work: Callable[[], Awaitable[T]]) -> T:
        call = self.payloads.call
        seconds = call.services.limits.seconds
        if call.ends_at is not None and call.ends_at <= asyncio.get_running_loop().time():
            raise UnavailableError(f"This was not started: the time of {seconds:g} s for all mutations was over.")
        try:
            async with asyncio.timeout_at(call.ends_at):
                return await work()
        except TimeoutError as error:
            raise UnavailableError(
                f"This took longer than {seconds:g} s, and may still happen: check, or retry with an idempotencyKey."
            ) from error


@strawberry.type
class Mutation:
    """The root of mutations."""

    @described
    def background_tasks(self, info: Info) -> BackgroundTaskMutation | None:
        """Background tasks of the namespace."""
        return BackgroundTaskMutation(payloads=Payloads(info.context))


def selection(
    ids: list[strawberry.ID] | None, where: Any, search: str | None, limit: int | None, after: str | None
) -> Selection:
    """Return which tasks a mutation changes: those that are named, or those that a filter finds."""
    is_filtered = where is not None or bool(search and search.split())  # an empty search must not select all
    return Selection(ids, Listing(task_conditions(where), (), limit, after, search) if is_filtered else None)
