"""Subscriptions, independent of GraphQL: changes of tasks, and new log lines, as long as the caller may see them.

Access is checked again every ten seconds, and with every line of a log, because logs are read with the caller's token.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Final, TypeVar

from podrelay.api import hooks, names
from podrelay.gateway import podlogs
from podrelay.gateway.cache import Change
from podrelay.gateway.call import Call
from podrelay.gateway.errors import LimitError, UnavailableError
from podrelay.gateway.metrics import SKIPPED
from podrelay.gateway.objects import Record, Run
from podrelay.gateway.payloads import Object, fetch
from podrelay.gateway.per_user_limits import TooManyError
from podrelay.gateway.query.buffers import Closed, Newest, NewestByKey
from podrelay.gateway.query.filters import Predicate
from podrelay.kube.resources import TASK_ITERATIONS, Key

T = TypeVar("T")

CHECK_SECONDS: Final = 10.0
PENDING_UPDATES: Final = 1000
PENDING_LINES: Final = 2000
_RETRY_SECONDS: Final = 2.0
"""How long to wait before reading a log again, while the API server does not respond."""
_HOOKS_SECONDS: Final = 60.0
"""How long a finished run is followed for the log lines of its hooks."""


@dataclass(frozen=True)
class Update:
    """A change of a run.

    Attributes:
        run: its newest state.
        gone: whether it was deleted.
        is_new: whether it was created.
        skipped: how many changes of other runs were dropped because the subscriber is slow.
    """

    run: Run
    gone: bool
    is_new: bool
    skipped: int = 0


@dataclass(frozen=True)
class Line:
    """A line of a log, a line that a pod prints, or (with `dropped`) a gap where lines are missing."""

    pod: str | None
    iteration: int | None = None
    item: Object | None = None
    text: str | None = None
    dropped: int = 0


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


async def updates(call: Call, matches: Predicate[Run], only: Key | None) -> AsyncGenerator[Update, None]:
    """Yield the changes of the runs that match, or of one run, with its current state first.

    Ends when that run is deleted. Access is checked at the start and repeatedly.

    Raises:
        GatewayError: the caller does not have access, or no longer has it.
    """

    async def check() -> None:
        await call.may("watch", names.TASK_RUNS, only, fresh=True)

    await check()
    waiting: NewestByKey[Change[Run]] = NewestByKey(PENDING_UPDATES)
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
        if only is not None and (now := call.cache.runs.get(only)) is not None:
            waiting.put(only, Change(now, now))
        async for change, skipped in _while_allowed(waiting.get, check):
            SKIPPED.labels("tasks").inc(skipped)
            yield Update(change.obj, change.gone, change.before is None, skipped)
            if only is not None and change.gone:
                return


async def lines(call: Call, key: Key, *, pod_output: bool) -> AsyncGenerator[Line, None]:
    """Yield all lines of a run's logs, first the existing ones, until the run has finished.

    Args:
        call: the call of the subscriber, whose access is checked at the start and repeatedly.
        key: the run.
        pod_output: whether to include what its pods print.

    Raises:
        GatewayError: the caller does not have access, or no longer has it.
    """

    async def check() -> None:
        await call.may("watch", names.TASK_ITERATIONS, fresh=True)

    await check()
    buffer: Newest[Line] = Newest(PENDING_LINES)
    follower = _LogFollower(call, key, buffer, pod_output=pod_output)
    task = asyncio.create_task(follower.run())
    try:
        with contextlib.suppress(Closed):
            async for line, dropped in _while_allowed(buffer.get, check):
                SKIPPED.labels("lines").inc(dropped)
                yield line if line is not None else Line(None, dropped=dropped)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _while_allowed(get: Callable[[], Awaitable[T]], check: Callable[[], Awaitable[None]]) -> AsyncIterator[T]:
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


class _LogFollower:
    """Puts the lines of one run into a buffer, until the run has finished."""

    def __init__(self, call: Call, key: Key, buffer: Newest[Line], *, pod_output: bool) -> None:
        self._call = call
        self._key = key
        self._buffer = buffer
        self._pod_output = pod_output
        self._changed: dict[Key, None] = {}
        """Records to read, in order."""
        self._wake = asyncio.Event()
        self._seen: dict[Key, int] = {}
        self._pods: dict[str, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Follow the run; an error closes the buffer."""
        cache = self._call.cache
        stop = [cache.records.listen(self._hear_record), cache.runs.listen(self._hear_run)]
        known = cache.records.indexed("run", self._key.namespace, self._key.name)
        # Records of hooks have iteration 0, and come last.
        for record in sorted(known, key=lambda record: (record.iteration == 0, record.iteration, record.try_)):
            self._changed[record.key] = None
        try:
            await self._follow()
            await asyncio.gather(*self._pods.values())
            self._buffer.close()
        except Exception as error:  # noqa: BLE001 - the subscriber gets it
            self._buffer.close(error)
        finally:
            for end in stop:
                end()
            for task in self._pods.values():
                task.cancel()
            await asyncio.gather(*self._pods.values(), return_exceptions=True)

    async def _follow(self) -> None:
        loop = asyncio.get_running_loop()
        hooks_until: float | None = None
        while True:
            self._wake.clear()
            run = self._call.cache.runs.get(self._key)
            pod = run.status.current.pod_name if run and run.status.current else None
            if self._pod_output and pod is not None:
                self._follow_pod(pod)
            if run is not None and run.is_finished and pod is not None:
                # The watch of runs may be ahead of the watch of records.
                self._changed[Key(self._key.namespace, pod)] = None
            await self._read_changed()
            if run is None or (run.is_finished and not self._awaits_hooks(run)):
                return
            if run.is_finished and hooks_until is None:
                hooks_until = loop.time() + _HOOKS_SECONDS
            try:
                async with asyncio.timeout_at(hooks_until):
                    await self._wake.wait()
            except TimeoutError:
                return

    def _awaits_hooks(self, run: Run) -> bool:
        definition = self._call.cache.definitions.get(Key(self._key.namespace, run.spec.definition))
        declared = set(definition.spec.hooks) if definition else set()
        called = {outcome.name for outcome in run.status.hooks}
        return bool(declared & set(hooks.due_after(run.status.phase, run.status.reason)) - called)

    async def _read_changed(self) -> None:
        while self._changed:
            key = next(iter(self._changed))
            try:
                stored = await fetch(self._call, TASK_ITERATIONS, key)
            except UnavailableError:
                await asyncio.sleep(_RETRY_SECONDS)
                continue
            self._changed.pop(key, None)
            if stored:
                self._put_new(key, stored)

    def _put_new(self, key: Key, stored: Object) -> None:
        """Put the new lines. Lines are numbered, including those that the record has dropped."""
        if self._pod_output:
            self._follow_pod(key.name)
        items: list[Object] = stored.get("logs") or []
        first = stored.get("droppedLogs") or 0
        seen = self._seen.get(key, 0)
        if first > seen:
            self._buffer.put(Line(key.name, stored["iteration"], dropped=first - seen))
        for item in items[max(0, seen - first) :]:
            self._buffer.put(Line(key.name, stored["iteration"], item))
        self._seen[key] = max(seen, first + len(items))

    def _follow_pod(self, pod: str) -> None:
        if pod not in self._pods:
            self._pods[pod] = asyncio.create_task(self._print(pod))

    async def _print(self, pod: str) -> None:
        try:
            async for text in podlogs.follow(self._call, Key(self._key.namespace, pod)):
                self._buffer.put(Line(pod, text=text))
        except UnavailableError:
            # It is unknown how many lines are missing; what the task itself logs still arrives.
            self._buffer.put(Line(pod, dropped=1))
        except Exception as error:  # noqa: BLE001 - the subscriber gets it
            self._buffer.close(error)

    def _hear_record(self, change: Change[Record]) -> None:
        if change.obj.run_key == self._key and not change.gone:
            self._changed[change.obj.key] = None
            self._wake.set()

    def _hear_run(self, change: Change[Run]) -> None:
        if change.obj.key == self._key:
            self._wake.set()
