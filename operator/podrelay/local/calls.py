"""Containers as calls in this process and thread: for tests, and for a debugger.

A call cannot be killed. After its time is over, the task's next use of the controller raises `ContainerKilledError`,
and its answer is not stored.
"""

import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Final

from podrelay.api import names, numbers
from podrelay.api.errors import PodrelayError
from podrelay.local import rest
from podrelay.local.clock import Clock, timestamp
from podrelay.local.kubelet import Container
from podrelay.local.memory_api import MemoryApi, Object
from podrelay.runner import main as runner
from podrelay.runner.api_client import ApiClient, Deadline
from podrelay.runner.flush import FLUSH_SECONDS
from podrelay.runner.session import PodSession
from podrelay.runner.signals import Interruption
from podrelay.sdk.definition import TaskDefinition

_SIGKILL: Final = 137


class ContainerKilledError(BaseException):
    """Raised in a task whose container is killed. Not an Exception, so that the task does not catch it by mistake."""


class CallContainer:
    """One iteration as a call.

    Args:
        name: the name of the pod.
        clock: seconds.
        passed: called when time has passed in the task or it asks about time, to update the rest of the world.
    """

    def __init__(self, name: str, clock: Callable[[], float], passed: Callable[[], None]) -> None:
        self.name = name
        self._clock = clock
        self._passed = passed
        self._interruption: Interruption | None = None
        self._is_killed = False
        self._flush: Callable[[], None] = lambda: None
        self._flushed_at = clock()
        self._thread = threading.get_ident()
        self._code: int | None = None

    def exit_code(self) -> int | None:
        """Return the exit code; None during the call."""
        return self._code

    def listen(self, interruption: Interruption) -> None:
        """Set the interruption that gets SIGTERM."""
        self._interruption = interruption

    def keep_flushed(self, flush: Callable[[], None]) -> None:
        """Set the function that stores progress and heartbeats: when time is skipped, no thread would do it."""
        self._flush = flush

    def terminate(self) -> None:
        """Do the same as SIGTERM."""
        if self._interruption is not None:
            self._interruption.interrupt()

    def kill(self) -> None:
        """Let the task's next use of the controller raise `ContainerKilledError`."""
        self._is_killed = True

    def last_output(self) -> str:
        """Return nothing: the output of a call is the output of this process."""
        return ""

    def read_output(self) -> None:
        """Do nothing: what the call prints appears at once."""

    def memory(self) -> int:
        """Return 0: the memory of a call is that of this process."""
        return 0

    def run(self, call: Callable[[], int]) -> None:
        """Make the call and keep its exit code."""
        code = 1
        try:
            code = call()
        except ContainerKilledError:
            code = _SIGKILL
        finally:
            self._code = code

    def breathe(self) -> None:
        """Update the rest of the world to the time of this container.

        Raises:
            ContainerKilledError: the container was killed.
        """
        if threading.get_ident() == self._thread and self._clock() >= self._flushed_at + FLUSH_SECONDS:
            self._flushed_at = self._clock()
            with suppress(PodrelayError):  # the record was deleted together with its run
                self._flush()
        self.catch_up()

    def catch_up(self) -> None:
        """Do the same as `breathe` without storing anything: for requests, which hold the lock of the record.

        Raises:
            ContainerKilledError: the container was killed.
        """
        if threading.get_ident() != self._thread:
            return
        self._passed()
        if self._is_killed:
            raise ContainerKilledError(f"pod {self.name} was killed: its time was over")


class CallSession(PodSession):
    """The session of a call: whenever the task uses it, the rest of the world is updated."""

    def __init__(self, container: CallContainer, *of_a_pod: Any) -> None:
        super().__init__(*of_a_pod)
        self._container = container
        container.keep_flushed(lambda: self._record.flush(self.deadline))
        self.look()

    def look(self) -> None:
        """Update the rest of the world; also called before each call of run()."""
        self._container.breathe()

    def report(self, percent: float | None, message: str) -> None:
        """Accept progress."""
        super().report(percent, message)
        self.look()

    def remaining_seconds(self) -> float:
        """Return the time until the iteration times out."""
        self.look()
        return super().remaining_seconds()

    def is_aborted(self) -> bool:
        """Return whether the run is being aborted."""
        self.look()
        return super().is_aborted()

    def heartbeat(self) -> None:
        """Accept a heartbeat."""
        super().heartbeat()
        self.look()

    def is_stopping(self) -> bool:
        """Return whether only this pod ends."""
        self.look()
        return super().is_stopping()


class CallRuntime:
    """Calls the runner.

    Args:
        api: the API server.
        definitions: the task classes, by name of the definition.
        clock: the time that tasks see.
        passed: called when time has passed within a task, see `CallContainer`.
        session_type: creates the session; called with the container, then the arguments of PodSession.
    """

    def __init__(
        self,
        api: MemoryApi,
        definitions: Mapping[str, type[TaskDefinition]],
        clock: Clock,
        passed: Callable[[], None],
        session_type: Callable[..., PodSession] = CallSession,
    ) -> None:
        self._api = api
        self._definitions = definitions
        self._clock = clock
        self._passed = passed
        self._session_type = session_type
        self.current: CallContainer | None = None

    def close(self) -> None:
        """Do nothing: there is nothing to close."""

    def obstacle(self, _pod: Object) -> str | None:
        """Return None: the classes are in this process."""
        return None

    def start(self, pod: Object, variables: dict[str, str], started: Callable[[Container], None]) -> None:
        """Run the container of a pod until it has ended."""
        container = CallContainer(pod["metadata"]["name"], self._clock.monotonic, self._passed)
        definition = self._definitions[pod["metadata"]["labels"][names.LABEL_DEFINITION]]
        client = RunnerClient(self._api, self._clock, container.catch_up)
        call = partial(
            runner.run,
            definition,
            variables,
            self._clock.monotonic(),
            self._clock.monotonic,
            client,
            now=lambda: timestamp(self._clock.now()),
            listen=container.listen,
            session_type=partial(self._session_type, container),
        )
        started(container)
        before, self.current = self.current, container
        moved, self._clock.moved = self._clock.moved, container.breathe
        try:
            container.run(call)
        finally:
            self.current, self._clock.moved = before, moved


class RunnerClient(ApiClient):
    """The runner's client, without a network.

    Args:
        api: the API server.
        clock: seconds.
        breathe: called before each request, to update the rest of the world.
    """

    def __init__(self, api: MemoryApi, clock: Clock, breathe: Callable[[], None]) -> None:
        super().__init__("localhost", 0, Path(), clock.monotonic, time.sleep)
        self._api = api
        self._breathe = breathe

    def another(self) -> ApiClient:
        """Return this client: it has no connection that would need protection."""
        return self

    def _answer(
        self, method: str, url: str, body: dict[str, Any] | None, deadline: Deadline
    ) -> tuple[int, dict[str, Any]]:
        self._breathe()
        answer = rest.answer(self._api, method, url, body)
        return answer.status, numbers.as_stored(answer.body)  # a copy, as over a network
