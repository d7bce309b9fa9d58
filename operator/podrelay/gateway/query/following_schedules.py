"""Subscriptions to schedules, independent of GraphQL: each change, as long as the caller may see the schedule."""

import contextlib
from collections.abc import AsyncGenerator

from podrelay.api import names
from podrelay.gateway import schedules
from podrelay.gateway.cache import Change
from podrelay.gateway.call import Call
from podrelay.gateway.objects import ScheduleIdentity
from podrelay.gateway.payloads import Object, fetch
from podrelay.gateway.query.buffers import NewestByKey
from podrelay.gateway.query.following import PENDING_UPDATES, while_allowed
from podrelay.kube.resources import TASK_SCHEDULES, Key


async def updates(
    call: Call, ident: str | None, *, announce: bool = False
) -> AsyncGenerator[tuple[Key | None, Object | None], None]:
    """Yield the key and the current state of each schedule that changes; None for a deleted one.

    Of one schedule, the current state comes first, and the stream ends when it is deleted. Without a key: the
    notice that all later changes will be sent.

    Args:
        call: the call of the subscriber, whose access is checked at the start and repeatedly.
        ident: id of the schedule; None: all schedules of the namespace, or of all namespaces.
        announce: whether to send the notice.

    Raises:
        GatewayError: the caller does not have access, or no longer has it.
    """
    only = await schedules.key_of(call, "watch", ident) if ident is not None else None

    async def check() -> None:
        await call.may("watch", names.TASK_SCHEDULES, only, fresh=True)

    await check()
    waiting: NewestByKey[Change[ScheduleIdentity]] = NewestByKey(PENDING_UPDATES)

    def hear(change: Change[ScheduleIdentity]) -> None:
        key = change.obj.key
        if only in {None, key} and call.scope.namespace in {None, key.namespace}:
            waiting.put(key, change)

    with contextlib.ExitStack() as stack:
        stack.callback(call.cache.schedules.listen(hear))
        if announce:
            yield None, None
        if only is not None and (stored := await fetch(call, TASK_SCHEDULES, only)):
            yield only, stored
        async for change, _ in while_allowed(waiting.get, check):
            key = change.obj.key
            stored = {} if change.gone else await fetch(call, TASK_SCHEDULES, key)
            yield key, stored or None
            if only is not None and not stored:
                return
