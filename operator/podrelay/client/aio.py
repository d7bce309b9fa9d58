"""AsyncTaskService: TaskService for programs with an event loop.

It runs the methods of a TaskService in threads, so both behave in the same way. Calls share a bounded pool; each open
stream (wait, watch, events, logs) has its own thread, so that streams do not block calls.
"""

import asyncio
import functools
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Concatenate, Final, Generic, ParamSpec, Self, TypeVar, cast

from podrelay.client.results import Run
from podrelay.client.schedules import AsyncSchedules
from podrelay.client.service import TaskService
from podrelay.client.stream import Stream

__all__ = ["AsyncStream", "AsyncTaskService"]

P = ParamSpec("P")
T = TypeVar("T")

_END: Final = object()


class AsyncStream(AsyncIterator[T], Generic[T]):
    """An asynchronous iterator over items as they arrive. Use it in an `async with` unless you read it to its end."""

    def __init__(self, stream: Stream[T]) -> None:
        self._stream = stream
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="podrelay-stream")

    async def __anext__(self) -> T:
        try:
            # With a default, because a future cannot raise StopIteration.
            item = await asyncio.get_running_loop().run_in_executor(self._thread, next, self._stream, _END)
        except BaseException:
            self._end()
            raise
        if item is _END:
            self._end()
            raise StopAsyncIteration
        return cast("T", item)

    async def aclose(self) -> None:
        """End the stream and close its connection."""
        self._end()

    def _end(self) -> None:
        self._stream.close()
        self._thread.shutdown(wait=False)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._end()


def _call(
    method: Callable[Concatenate[TaskService, P], T],
) -> "Callable[Concatenate[AsyncTaskService, P], Coroutine[Any, Any, T]]":
    """Return the asynchronous form of a method, with the same signature and docstring."""

    async def call(self: "AsyncTaskService", /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._run(functools.partial(method, self._service, *args, **kwargs))

    functools.update_wrapper(call, method)
    return call


def _stream(
    method: Callable[Concatenate[TaskService, P], Stream[T]],
) -> "Callable[Concatenate[AsyncTaskService, P], AsyncStream[T]]":
    """Return the asynchronous form of a method that returns a stream."""

    def open_stream(self: "AsyncTaskService", /, *args: P.args, **kwargs: P.kwargs) -> AsyncStream[T]:
        return AsyncStream(method(self._service, *args, **kwargs))

    functools.update_wrapper(open_stream, method)
    return open_stream


class AsyncTaskService:
    """Like TaskService, but its methods are coroutines, and watch, events and logs return asynchronous iterators.

    Cancelling a call only stops waiting for it: the request may still reach the API server. Cancelling a stream ends it
    at once.

    Args:
        namespace: namespace of the tasks, as for TaskService.
        kubeconfig: path of a kubeconfig, as for TaskService.
        context: context of the kubeconfig, as for TaskService.
        retry_seconds: how long a call is retried.
        max_calls: how many calls can run at the same time; further calls wait.

    Raises:
        ConfigurationError: there is neither a kubeconfig nor a service account.
    """

    def __init__(
        self,
        namespace: str | None = None,
        *,
        kubeconfig: str | Path | None = None,
        context: str | None = None,
        retry_seconds: float = 10.0,
        max_calls: int = 16,
    ) -> None:
        self._service = TaskService(namespace, kubeconfig=kubeconfig, context=context, retry_seconds=retry_seconds)
        self._pool = ThreadPoolExecutor(max_calls, thread_name_prefix="podrelay-call")

    @property
    def namespace(self) -> str:
        """The namespace of the tasks."""
        return self._service.namespace

    @property
    def schedules(self) -> AsyncSchedules:
        """The schedules of the namespace."""
        return AsyncSchedules(self._service.schedules, self._run)

    trigger = _call(TaskService.trigger)
    rerun = _call(TaskService.rerun)
    get = _call(TaskService.get)
    list = _call(TaskService.list)
    children = _call(TaskService.children)
    definitions = _call(TaskService.definitions)
    abort = _call(TaskService.abort)
    suspend = _call(TaskService.suspend)
    resume = _call(TaskService.resume)
    reschedule = _call(TaskService.reschedule)
    signal = _call(TaskService.signal)
    signals = _call(TaskService.signals)
    delete = _call(TaskService.delete)
    doctor = _call(TaskService.doctor)
    watch = _stream(TaskService.watch)
    events = _stream(TaskService.events)
    logs = _stream(TaskService.logs)

    async def wait(self, id: str, timeout: float | None = None) -> Run:  # noqa: ASYNC109 - as TaskService.wait
        """Wait until a run has finished, and return it. Its status shows how it ended.

        Args:
            id: id of the run.
            timeout: seconds to wait; None: without a limit.

        Raises:
            TaskNotFoundError: the run does not exist, or was deleted.
            WaitTimeoutError: the run has not finished in time.
        """
        states: deque[Run] = deque(maxlen=1)
        async with self.watch(id, timeout) as stream:
            async for state in stream:
                states.append(state)
        return states[0]

    async def aclose(self) -> None:
        """Close the connections, after the calls in progress have ended."""
        await asyncio.to_thread(self._pool.shutdown)
        self._service.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def _run(self, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, call)
