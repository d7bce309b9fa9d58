"""What every controller does with its queue: take a key, handle it, and have it back later if that failed.

Several keys are handled at once. One that takes long, because an answer does, no longer counts as one of them; how many
may is bounded by the queue, for each group of keys and for all.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Hashable
from functools import partial
from typing import TypeVar

from podrelay.api.errors import PodrelayError
from podrelay.kube.errors import ApiError
from podrelay.kube.places import Places
from podrelay.operator.controllers.workqueue import MOST_AT_WORK, WorkQueue

log = logging.getLogger(__name__)

K = TypeVar("K", bound=Hashable)
Errors = tuple[type[Exception], ...]


async def work(
    queue: WorkQueue[K],
    handle: Callable[[K], Awaitable[None]],
    *,
    failed: str,
    about: str,
    count: int,
    fatal: Errors = (),
    held: Errors = (),
) -> None:
    """Handle keys until cancelled.

    Args:
        queue: where they come from, and go back to after an error.
        handle: what is to be done with one.
        failed: what an error means, for the log.
        about: what a key is, for the log.
        count: how many are handled at once, those that take long not counted.
        fatal: errors that end it.
        held: errors after which no event brings a key back sooner.

    Raises:
        ExceptionGroup: of a fatal error.
    """
    places = Places(count, slow=MOST_AT_WORK)

    async def handle_one(key: K) -> None:
        with places.occupied():
            try:
                await handle(key)
            except fatal:
                raise
            except Exception as error:  # noqa: BLE001 - what goes wrong with one key must not keep the others waiting
                _retry(error, key)
            else:
                queue.succeeded(key)

    def _give_back(key: K, task: "asyncio.Task[None]") -> None:
        if task.cancelled() or task.exception() is not None:
            queue.add(key)  # whoever works next, in another term of the Lease, goes on with it
        queue.done(key)

    def _retry(error: Exception, key: K) -> None:
        at_least = error.retry_after or 0.0 if isinstance(error, ApiError) else 0.0
        delay = queue.retry(key, at_least, is_held=isinstance(error, held))
        is_expected = isinstance(error, PodrelayError | TimeoutError)
        log.warning(
            "%s: %s",
            failed,
            str(error) or type(error).__name__,
            exc_info=None if is_expected else error,
            extra={about: str(key), "retry_seconds": round(delay, 2)},
        )

    async with asyncio.TaskGroup() as tasks:
        while True:
            await places.acquire()
            key = await queue.get()
            # A task that is cancelled before its first step does nothing at all, but its callback is called.
            tasks.create_task(handle_one(key)).add_done_callback(partial(_give_back, key))
