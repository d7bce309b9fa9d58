"""The loop of every controller: take a key from the work queue, reconcile it, and retry it with backoff if that fails.

Several keys are reconciled at the same time. A key that takes long, because of a slow request, no longer counts towards
that number; the queue limits how many keys may take long, for each group of keys and in total.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Hashable
from functools import partial
from typing import Generic, TypeVar

from podrelay.api.errors import PodrelayError
from podrelay.kube.errors import ApiError
from podrelay.kube.request_semaphore import Places
from podrelay.operator.controllers.workqueue import MOST_IN_PROGRESS, WorkQueue

log = logging.getLogger(__name__)

K = TypeVar("K", bound=Hashable)
Errors = tuple[type[Exception], ...]


class Controller(Generic[K]):
    """Reconciles the keys of a work queue.

    Args:
        queue: the source of keys, to which they return after an error.
        reconcile: reconciles one key; called again later after an error.
        failed: the log message after an error.
        kind: the kind of the keys, as the log names it, for example `run`.
        workers: how many keys are reconciled at the same time, not counting those that take long.
        fatal: errors that end the controller.
        held: errors after which events do not bring a key back before its backoff is over.
    """

    def __init__(
        self,
        queue: WorkQueue[K],
        reconcile: Callable[[K], Awaitable[None]],
        *,
        failed: str,
        kind: str,
        workers: int,
        fatal: Errors = (),
        held: Errors = (),
    ) -> None:
        self._queue = queue
        self._reconcile = reconcile
        self._failed = failed
        self._kind = kind
        self._places = Places(workers, slow=MOST_IN_PROGRESS)
        self._fatal = fatal
        self._held = held

    async def run(self) -> None:
        """Reconcile until cancelled.

        Raises:
            ExceptionGroup: of a fatal error.
        """
        async with asyncio.TaskGroup() as tasks:
            while True:
                await self._places.acquire()
                key = await self._queue.get()
                # A task that is cancelled before its first step does nothing at all, but its callback is called.
                tasks.create_task(self._work(key)).add_done_callback(partial(self._give_back, key))

    async def _work(self, key: K) -> None:
        with self._places.occupied():
            try:
                await self._reconcile(key)
            except self._fatal:
                raise
            except Exception as error:  # noqa: BLE001 - an error of one key must not stop the others
                self._retry(error, key)
            else:
                self._queue.succeeded(key)

    def _give_back(self, key: K, task: "asyncio.Task[None]") -> None:
        if task.cancelled() or task.exception() is not None:
            self._queue.add(key)  # it continues in the next leadership term
        self._queue.done(key)

    def _retry(self, error: Exception, key: K) -> None:
        at_least = error.retry_after or 0.0 if isinstance(error, ApiError) else 0.0
        delay = self._queue.retry(key, at_least, is_held=isinstance(error, self._held))
        is_expected = isinstance(error, PodrelayError | TimeoutError)
        log.warning(
            "%s: %s",
            self._failed,
            str(error) or type(error).__name__,
            exc_info=None if is_expected else error,
            extra={self._kind: str(key), "retry_seconds": round(delay, 2)},
        )
