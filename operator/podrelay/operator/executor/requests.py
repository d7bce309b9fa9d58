"""Requests of the executor to the API server: answers go into the cache, refused requests are retried with backoff."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Final

import msgspec

from podrelay.kube.api import WRITE_TIMEOUT_SECONDS, Api
from podrelay.kube.errors import NotFoundError
from podrelay.kube.resources import TASK_RUNS, Key
from podrelay.operator.cache.store import Store
from podrelay.operator.objects.runs import TaskRun
from podrelay.operator.view import Refusal

_START_RETRY_SECONDS: Final = (1.0, 60.0)

_decode_run = msgspec.json.Decoder(TaskRun).decode


class Requests:
    """Sends requests, and keeps track of those that are refused.

    Attributes:
        client: the API server.
        store: the cache.
        clock: returns the current time, aware, UTC.

    Args:
        count: called before each write with the name of the write, for metrics.
    """

    def __init__(self, client: Api, store: Store, clock: Callable[[], datetime], count: Callable[[str], None]) -> None:
        self.client = client
        self.store = store
        self.clock = clock
        self._count = count

    async def write(self, kind: str, request: Awaitable[bytes]) -> bytes:
        """Send a write, and count it under the name `kind`."""
        self._count(kind)
        return await request

    async def refresh_run(self, key: Key, uid: str) -> TaskRun | None:
        """Read a run into the cache and return it, or None if the API server no longer has it."""
        try:
            run = _decode_run(await self.client.get(TASK_RUNS, key.namespace, key.name))
        except NotFoundError:
            self.store.runs.forget(key, key.name, uid)
            return None
        self.store.runs.apply(run)
        return run

    def refused(self, run: TaskRun, name: str, reason: str, message: str, at_least_seconds: float = 0.0) -> None:
        """Store the refusal of a pod or record of a run; the operator tries again after a growing pause."""
        now = self.clock()
        before = self.refusal_so_far(run, name)
        shortest, longest = _START_RETRY_SECONDS
        since = before.since if before is not None else now
        pause = max(at_least_seconds, min(longest, max(shortest, (now - since).total_seconds())))
        self.store.refused(run, Refusal(name, reason, message, since, now + timedelta(seconds=pause)))

    def refusal_so_far(self, run: TaskRun, name: str) -> Refusal | None:
        """Return the last refusal of this name, unless it is old: after a suspension, a run starts without one."""
        before = self.store.refusal(run)
        longest = timedelta(seconds=_START_RETRY_SECONDS[1] + WRITE_TIMEOUT_SECONDS)
        continues = before is not None and before.name == name and self.clock() < before.retry_at + longest
        return before if continues else None
