"""Subscriptions to changes of tasks, independent of GraphQL, as long as the caller may see them.

Access is checked again every ten seconds.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Final, TypeVar

from podrelay.api import names
from podrelay.gateway.cache import Change
from podrelay.gateway.call import Call
from podrelay.gateway.errors import LimitError
from podrelay.gateway.metrics import SKIPPED
from podrelay.gateway.objects import Run
from podrelay.gateway.per_user_limits import TooManyError
from podrelay.gateway.query.buffers import NewestByKey
from podrelay.gateway.query.filters import Predicate
from podrelay.kube.resources import Key

T = TypeVar("T")

CHECK_SECONDS: Final = 10.0
PENDING_UPDATES: Final = 1000


@dataclass(frozen=True)
class Update:
    """A change of a run.

    Attributes:
        run: its newest state.
        gone: whether it was deleted.
        is_new: whether it was created.
        matches: whether it belongs to the subscribed list now.
        skipped: how many changes of other runs were dropped because the subscriber is slow.
    """

    run: Run
    gone: bool
    is_new: bool
    matches: bool = True
    skipped: int = 0


@dataclass(frozen=True)
class Notice:
    """Whether the gateway receives changes: all later ones will be sent, or (`is_stale`) none arrive at the moment."""

    is_stale: bool
    skipped: int = 0


@contextlib.asynccontextmanager
async def counted(call: Call) -> AsyncGenerator[None]:
    """Count a subscription of a user for as long as it is open.

    Raises:
        LimitError: the user already has too many.
        GatewayError: the user cannot be authenticated.
    """
    counts, user = call.services.subscriptions, await call.services.access.user(call.caller)
    try:
        counts.add(user, call.services.limits.max_subscriptions)
    except TooManyError as error:
        raise LimitError(f"You already have {error.most} subscriptions; end some of them first.") from error
    try:
        yield
    finally:
        counts.remove(user)


async def updates(
    call: Call, matches: Predicate[Run], only: Key | None, *, announce: bool = False
) -> AsyncGenerator[Update | Notice, None]:
    """Yield the changes of the runs that match, or of one run, with its current state first.

    Ends when that run is deleted. Access is checked at the start and repeatedly.

    Args:
        call: the call of the subscriber.
        matches: whether a run belongs to the list; a change is sent if it did before the change, or does after it.
        only: the only run, or None.
        announce: whether to send notices: as soon as changes are followed, and whenever they stop to arrive or resume.

    Raises:
        GatewayError: the caller does not have access, or no longer has it.
    """
    waiting: NewestByKey[Change[Run] | Notice] = NewestByKey(PENDING_UPDATES)
    announced: bool | None = None

    def announce_if_changed() -> None:
        nonlocal announced
        if announce and announced is not call.cache.is_stale:
            announced = call.cache.is_stale
            waiting.put(Notice, Notice(announced))

    async def check() -> None:
        await call.may("watch", names.TASK_RUNS, only, fresh=True)
        announce_if_changed()

    await call.may("watch", names.TASK_RUNS, only, fresh=True)
    namespace = only.namespace if only else call.scope.namespace

    def hear(change: Change[Run]) -> None:
        key = change.obj.key
        if only is not None and key != only:
            return
        if namespace is not None and key.namespace != namespace:
            return
        if any(state is not None and matches(state) for state in (change.before, change.obj)):
            waiting.put(key, change)

    with contextlib.ExitStack() as stack:
        stack.callback(call.cache.runs.listen(hear))
        announce_if_changed()
        if only is not None and (now := call.cache.runs.get(only)) is not None:
            waiting.put(only, Change(now, now))
        async for change, skipped in while_allowed(waiting.get, check):
            SKIPPED.labels("tasks").inc(skipped)
            if isinstance(change, Notice):
                yield Notice(change.is_stale, skipped)
                continue
            is_member = not change.gone and matches(change.obj)
            yield Update(change.obj, change.gone, change.before is None, is_member, skipped)
            if only is not None and change.gone:
                return


async def while_allowed(get: Callable[[], Awaitable[T]], check: Callable[[], Awaitable[None]]) -> AsyncIterator[T]:
    """Yield what `get` returns, and call `check` every ten seconds, regardless of how many items arrive."""
    loop = asyncio.get_running_loop()
    due = loop.time() + CHECK_SECONDS
    while True:
        try:
            async with asyncio.timeout_at(due):
                item = await get()
        except TimeoutError:
            item = None
        if loop.time() >= due:
            await check()
            due = loop.time() + CHECK_SECONDS
        if item is not None:
            yield item
