"""The session behind the controller in a pod: state, record, time. Implements `podrelay.sdk.controller.Session`."""

import contextlib
import json
import sys
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from podrelay.api import limits, numbers
from podrelay.api.wanted_run import WantedRun
from podrelay.runner import given_signals
from podrelay.runner.answering import clean, described, error_of
from podrelay.runner.api_client import ApiClient
from podrelay.runner.console import unrecorded
from podrelay.runner.environment import Environment
from podrelay.runner.flush import FLUSH_SECONDS, Flusher
from podrelay.runner.record import Record
from podrelay.runner.runs import task_run
from podrelay.runner.signals import Interruption
from podrelay.sdk.controller import as_dict
from podrelay.sdk.signals import Signal
from podrelay.sdk.task import TaskRun
from podrelay.sdk.validation import NO_RULES, InputRules

if TYPE_CHECKING:
    from podrelay.runner.children import Children

ANSWER_RESERVE_SECONDS: Final = 2.0
"""Part of the grace period that is reserved for the container to end after the last attempt to store the answer."""
UNSURE_SECONDS: Final = 20.0
LOG_MESSAGE_LENGTH: Final = 8192
PROGRESS_MESSAGE_LENGTH: Final = 256


class PodSession:
    """One iteration in this pod.

    Args:
        me: the environment of this pod.
        run: the TaskRun as read at the start.
        record: the record in which everything is stored.
        client: client for the API server, in the thread that runs the task; other threads need another one.
        interruption: distinguishes an abort from other reasons for SIGTERM.
        started_at: when the process started, as a time of the clock.
        clock: seconds.
    """

    def __init__(
        self,
        me: Environment,
        run: dict[str, Any],
        record: Record,
        client: ApiClient,
        interruption: Interruption,
        started_at: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.input: dict[str, Any] = run["spec"].get("input") or {}
        self.output: dict[str, Any] | None = None
        self.rules: InputRules = NO_RULES
        self.iteration = me.iteration
        self.attempt = me.attempt
        self.signals: list[Signal] = []
        self.woken_by = me.woken_by
        self.is_final_attempt = me.is_final_attempt
        self.secret_folder = me.secret_path
        self.timeout_seconds = me.iteration_timeout
        self.me = me
        self._run = run
        self._record = record
        self.client = client
        self._children: Children | None = None
        self._children_lock = threading.Lock()
        self._interruption = interruption
        self._clock = clock
        self._ends_at = started_at + me.iteration_timeout
        self._flusher = Flusher(record, clock, me.heartbeat_timeout)

    # --- sdk.controller.Session -------------------------------------------------------------------------------------

    @property
    def task(self) -> TaskRun:
        """The run as this iteration sees it; once it is finished, the finished run."""
        seen = task_run(self._run)._replace(input=self.input, output=self.output)
        if seen.status in {"pending", "running"}:
            status = "aborted" if self._interruption.is_abort else "running"
            return seen._replace(status=status, iterations=self.me.iteration)
        return seen

    def save(self) -> None:
        """Store input and output."""
        state: dict[str, Any] = {"input": self.input}
        if self.output is not None:
            state["output"] = self.output
        began = self._clock()
        self._record.checkpoint(state, self.deadline)
        if self._clock() - began > FLUSH_SECONDS:
            self.heartbeat()  # the stored heartbeat is from before the write, and may be too old after an outage

    def report(self, percent: float | None, message: str) -> None:
        """Accept progress; the flusher stores it."""
        self._record.set_progress(percent, clean(message, PROGRESS_MESSAGE_LENGTH))
        self._flusher.wake()

    def heartbeat(self) -> None:
        """Accept a heartbeat; the flusher stores it if the definition requires heartbeats."""
        if self.me.heartbeat_timeout is not None:
            self._record.heartbeat()
            self._flusher.beat()

    def write_log(self, kind: str, message: str, data: Any, error: Any) -> None:
        """Print a log line and add it to the record; if logs are not recorded, it still counts as a heartbeat."""
        item: dict[str, Any] = {
            "time": self._record.now(),
            "type": kind,
            "message": clean(str(message), LOG_MESSAGE_LENGTH),
        }
        if data is not None:
            item["data"] = _storable(data)
        if error is not None:
            item["error"] = error_of(described(error))
        _print(json.dumps(item, ensure_ascii=False))
        if self.me.record_logs:
            self._record.add_log(item)
            self._flusher.wake()
        else:
            self.heartbeat()

    def remaining_seconds(self) -> float:
        """Return the time until the iteration, or this pod, is ended."""
        left = max(0.0, self._ends_at - self._clock())
        grace = self._interruption.remaining()
        if grace is None:
            return left
        # After SIGTERM because of the timeout, the grace period remains.
        return min(left, grace) if left else grace

    def is_aborted(self) -> bool:
        """Return whether the run is being aborted."""
        return self._interruption.is_abort

    def is_stopping(self) -> bool:
        """Return whether only this pod ends."""
        return self._interruption.is_stop

    @property
    def abort_message(self) -> str | None:
        """Why the run is being aborted."""
        return self._interruption.abort_message

    def trigger(self, child: WantedRun) -> TaskRun:
        """Start a child."""
        return self._open_children().trigger(child)

    def list_children(self, definition: str | None) -> list[TaskRun]:
        """Return the children."""
        return self._open_children().find(definition)

    def list_waiting_signals(self, name: str | None) -> list[Signal]:
        """Return the signals that wait."""
        client = self.client.another()
        try:
            return given_signals.waiting(client, self.me, name, self.deadline)
        finally:
            client.close()

    def _open_children(self) -> "Children":
        with self._children_lock:
            if self._children is None:
                from podrelay.runner.children import Children  # noqa: PLC0415 - most tasks have no children

                self._children = Children(self.client.another(), self.me, self.deadline)
            return self._children

    # --- the runner -------------------------------------------------------------------------------------------------

    def deadline(self) -> float:
        """Return the time of the clock until which requests are retried; SIGTERM makes it earlier."""
        grace = self.me.grace_period
        if self._interruption.asked_at is None:
            return self._ends_at + grace
        return self._interruption.asked_at + grace - min(ANSWER_RESERVE_SECONDS, grace / 2)

    @property
    def status(self) -> dict[str, Any]:
        """The status of the run as read at the start."""
        status: dict[str, Any] = self._run.get("status") or {}
        return status

    def store_hook(self, outcome: dict[str, Any]) -> None:
        """Store the outcome of a hook.

        Raises:
            SupersededError, ApiRefusedError, ApiUnreachableError: as for `Record.add_hook`.
        """
        self._record.add_hook(outcome, self.deadline)

    def has_ended(self, run: dict[str, Any]) -> None:
        """Set the finished run, which hooks get as their argument."""
        self._run = run

    def begin_hooks(self) -> None:
        """Start the timeout of the hooks, which is as long as that of the iteration."""
        self._ends_at = self._clock() + self.me.iteration_timeout

    def wait_for_end(self, response: dict[str, Any]) -> Callable[[], float]:
        """Return the deadline for waiting until the run is finished after `response`.

        done and aborted always finish the run. Other answers may not, if the definition has changed since this pod was
        created; then the operator waits for this container to end, and would end it after 30 s.
        """
        if response["status"] in {"done", "aborted"}:
            return self.deadline
        until = self._clock() + UNSURE_SECONDS
        return lambda: min(until, self.deadline())

    def answer(self, response: dict[str, Any]) -> None:
        """Store the response, together with all data that is not stored yet.

        Raises:
            SupersededError, ApiRefusedError, ApiUnreachableError: as for `Record.answer`.
        """
        self._flusher.stop()
        self._log_end(response)
        self._record.answer(response, self.deadline)

    def _log_end(self, response: dict[str, Any]) -> None:
        """Log an error or abort, as Webiny does; the record contains the payloads anyway."""
        if response["status"] == "error":
            error = response["error"]
            self.write_log("error", response.get("message") or error["message"], None, {**error, "data": None})
        elif response["status"] == "aborted":
            message = self.abort_message or response.get("message") or "Task aborted."
            self.write_log("info", message, None, None)


def _print(line: str) -> None:
    # A task may close its stdout, set it to None, or change its encoding: its answer must not be lost because of that.
    with contextlib.suppress(OSError, ValueError, AttributeError):
        stream = unrecorded(sys.stdout)  # the record already has the line in its logs
        stream.write(f"{line}\n")  # in one call, so that lines of several threads are not mixed
        stream.flush()


def _storable(value: Any) -> dict[str, Any]:
    """Return `value` as a JSON object for a log line; for a value that cannot be stored, an object that says why."""
    try:
        wrapped = as_dict(value, "data")
    except TypeError:
        wrapped = {"value": value}
    except ValueError as error:  # a model that cannot be serialized as JSON
        return {"refused": clean(str(error), limits.MESSAGE_LENGTH)}
    try:
        # A copy, so that later changes of the task's own object do not change the log line.
        copied: dict[str, Any] = numbers.loads(limits.check_payload(wrapped, "data"))
    except limits.PayloadError as error:
        return {"refused": clean(str(error), limits.MESSAGE_LENGTH)}
    return copied
