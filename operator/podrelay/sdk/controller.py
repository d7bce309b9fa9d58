"""The controller, the second argument of run(): answers, state, time, progress, log."""

import copy
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from podrelay.api import limits, numbers
from podrelay.api.wanted_run import WantedRun
from podrelay.sdk.answers import (
    Aborted,
    Answer,
    Built,
    Continue,
    Done,
    Failed,
    WaitForChildren,
    WaitForSignal,
    failed,
)
from podrelay.sdk.children import definition_name, wanted_child
from podrelay.sdk.errors import ApiRefusedError
from podrelay.sdk.retry_exceptions import seconds_until
from podrelay.sdk.scheduled import Scheduled, scheduled_in
from podrelay.sdk.secret import Secret
from podrelay.sdk.signals import Signal, Signals, wanted_signals
from podrelay.sdk.task import TaskRun
from podrelay.sdk.validation import InputRules

if TYPE_CHECKING:
    import logging

    from podrelay.sdk.definition import TaskDefinition

_AnswerT = TypeVar("_AnswerT", bound=Answer)

ENV_CLOSE_TO_TIMEOUT: Final = "PODRELAY_CLOSE_TO_TIMEOUT_SECONDS"
DEFAULT_CLOSE_TO_TIMEOUT_SECONDS: Final = 180.0
"""Webiny's default: an iteration should hand over three minutes before its timeout."""


class Session(Protocol):
    """The implementation behind a controller: the runner in a pod, or a test."""

    input: dict[str, Any]
    output: dict[str, Any] | None
    rules: InputRules
    """The rules for every input."""
    iteration: int
    """Number of the iteration, from 1."""
    attempt: int
    """Number of the attempt within this iteration, from 1."""
    is_final_attempt: bool
    """Whether an error now is final."""
    secret_folder: str
    """Directory with a file for each key of the run's Secret; empty if the run names none."""
    timeout_seconds: float
    """Maximum duration of the iteration."""

    @property
    def task(self) -> TaskRun:
        """The current state of the run."""

    def save(self) -> None:
        """Store input and output; return when they are stored."""

    def report(self, percent: float | None, message: str) -> None:
        """Accept progress, to be stored soon."""

    def heartbeat(self) -> None:
        """Accept a heartbeat."""

    def write_log(self, kind: str, message: str, data: Any, error: Any) -> None:
        """Accept a log line."""

    def remaining_seconds(self) -> float:
        """Return the time until the iteration times out."""

    def is_aborted(self) -> bool:
        """Return whether the run is being aborted."""

    def is_stopping(self) -> bool:
        """Return whether the pod is being terminated for a reason other than an abort."""

    @property
    def abort_message(self) -> str | None:
        """Why the run is being aborted."""

    def trigger(self, child: WantedRun) -> TaskRun:
        """Start a child of the run, or return it if an earlier attempt has started it."""

    signals: list[Signal]
    """The signals that the iteration was given."""
    woken_by: str
    """What ended the wait for signals before the iteration; empty without a wait."""

    def list_waiting_signals(self, name: str | None) -> list[Signal]:
        """Return the signals of the run that no iteration has consumed, or only those of a name; the oldest first."""

    def list_children(self, definition: str | None) -> list[TaskRun]:
        """Return the children of the run, or only those of the named definition; the oldest first."""


def as_dict(value: Any, what: str) -> dict[str, Any]:
    """Return a JSON object for a dict or a pydantic model.

    Raises:
        TypeError: `value` is neither.
    """
    if isinstance(value, dict):
        return value
    dump: Callable[..., Any] | None = getattr(value, "model_dump", None)
    if dump is not None:
        dumped: dict[str, Any] = dump(mode="json", by_alias=True)
        return dumped
    raise TypeError(f"{what} must be a dict or a pydantic model, not {type(value).__name__}")


class Response:
    """Creates answers: `return controller.response.done(...)`."""

    def __init__(self) -> None:
        # The last answer of each line, to detect answers that run() does not return.
        self._built: dict[tuple[str, int], Built] = {}

    def done(self, message_or_output: Any = None, output: Any = None) -> Done:
        """Return an answer that completes the run: `done()`, `done(output)`, `done(message)`, `done(message, output)`.

        Args:
            message_or_output: a message in plain text, or the output if there is no message.
            output: the result, a dict or a pydantic model; None keeps the output stored by `state.update_output`.

        Raises:
            TypeError: the output is neither a dict nor a pydantic model.
        """
        if output is None and message_or_output is not None and not isinstance(message_or_output, str):
            return self._made(Done(output=as_dict(message_or_output, "output")), "done")
        return self._made(Done(message_or_output, None if output is None else as_dict(output, "output")), "done")

    def continue_(
        self,
        input: Any = None,
        *,
        seconds: float | None = None,
        date: datetime | None = None,
        replace: bool = False,
    ) -> Continue:
        """Return an answer that requests another iteration.

        Args:
            input: a dict or a pydantic model, merged over the current input one level deep.
            seconds: pause before the next iteration; below 1 means none, more than 355 days means 355 days.
            date: alternatively, the earliest start of the next iteration (UTC if it has no time zone). If both are
                given, `seconds` applies.
            replace: use `input` as the complete input of the next iteration. This is how keys are removed.

        Raises:
            TypeError: the input is neither a dict nor a pydantic model.
        """
        changes = {} if input is None else as_dict(input, "input")
        if seconds is None and date is not None:
            seconds = seconds_until(date)
        wait = None
        if seconds is not None and seconds >= 1:  # not true for NaN
            wait = min(float(seconds), float(limits.MAX_WAIT_SECONDS))
        return self._made(Continue(changes, wait, is_whole=replace), "continue_")

    def wait_for_children(self, input: Any = None, definition: "str | type[TaskDefinition] | None" = None) -> Continue:
        """Return an answer that requests another iteration when all children have finished, with any outcome.

        If there are no children, the next iteration starts at once.
        In the next iteration, `controller.task.list_children()` returns the children with their outcomes.

        Args:
            input: as for `continue_`.
            definition: wait only for runs of this definition: its id, its name or its class.

        Raises:
            TypeError: the input is neither a dict nor a pydantic model, or `definition` is neither a string nor a task
                class.
            ValueError: `definition` is not a valid id or name.
        """
        wanted = None if definition is None else definition_name(definition)
        changes = {} if input is None else as_dict(input, "input")
        return self._made(Continue(changes, wait_for_children=WaitForChildren(wanted)), "wait_for_children")

    def wait_for_signal(
        self,
        signal: str | Sequence[str],
        input: Any = None,
        *,
        seconds: float | None = None,
        date: datetime | None = None,
        count: int = 1,
        or_children: bool = False,
    ) -> Continue:
        """Return an answer that requests another iteration when a signal has arrived.

        No pod exists and nothing is polled while the run waits. Signals that were sent before count, too. The next
        iteration finds them in `controller.signals`; if the time was over first, `controller.signals.timed_out` is
        true. An approval ends the wait when enough users have approved, or one has rejected
        (`controller.signals.approved`).

        Args:
            signal: the name of the signal, or several names.
            input: as for `continue_`.
            seconds: the longest wait, at least 1; 355 days by default.
            date: alternatively, when the wait ends (UTC if it has no time zone).
            count: how many signals end the wait, at most 100. For an approval, its definition says how many.
            or_children: whether the wait also ends when all children have finished.

        Raises:
            TypeError: the input is neither a dict nor a pydantic model.
            ValueError: a name or the count is not valid.
        """
        names = wanted_signals(signal, count)
        changes = {} if input is None else as_dict(input, "input")
        if seconds is None and date is not None:
            seconds = seconds_until(date)
        longest = float(limits.MAX_WAIT_SECONDS)
        # Always a time: an operator without signals, after a rollback, waits for that at least.
        wait = longest if seconds is None else min(max(1.0, float(seconds)), longest)
        children = WaitForChildren() if or_children else None
        return self._made(
            Continue(changes, wait, children, wait_for_signal=WaitForSignal(names, count)), "wait_for_signal"
        )

    def error(self, error: BaseException | dict[str, Any] | str) -> Failed:
        """Return an answer that fails the iteration; an exception raised by run() has the same effect.

        `podrelay.Retry` requests a retry, `podrelay.Fatal` prevents one; both can be passed here or raised.

        Args:
            error: an exception; or a dict with message and optionally code and data; or a message. The answer keeps the
                exception's message, its `code` or the name of its class, and those attributes that are JSON values.
        """
        return self._made(failed(error), "error")

    def aborted(self, message: str | None = None) -> Aborted:
        """Return an answer that finishes the run as Aborted, even if `spec.abort` was not set.

        Args:
            message: the state of the work so far, in plain text.
        """
        return self._made(Aborted(message), "aborted")

    def _made(self, answer: _AnswerT, name: str) -> _AnswerT:
        frame = sys._getframe(2)  # the caller of the method that calls this one
        file, line = frame.f_code.co_filename, frame.f_lineno
        self._built[file, line] = Built(answer, f"controller.response.{name}(...)", file, line)
        return answer


class State:
    """The stored input and output of the run: `controller.state`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def get_task(self) -> TaskRun:
        """Return a copy of the current run."""
        task = self._session.task
        return task._replace(input=copy.deepcopy(task.input), output=copy.deepcopy(task.output))

    def get_status(self) -> str:
        """Return pending, running, success, failed or aborted."""
        return self._session.task.status

    def get_input(self) -> dict[str, Any]:
        """Return the input, including all updates."""
        return copy.deepcopy(self._session.input)

    def get_output(self) -> dict[str, Any] | None:
        """Return the output so far, or None."""
        return copy.deepcopy(self._session.output)

    def update_input(self, changes: Any) -> None:
        """Merge `changes` over the input, one level deep, and return when the result is stored.

        The next attempt of this iteration starts from the stored input, and so does the next iteration.

        Args:
            changes: a dict or a pydantic model.

        Raises:
            TypeError: `changes` is neither.
            PayloadError: `changes` cannot be stored without loss, or the result is too large; the input is unchanged.
            InputError: the result does not match the task's input type or validation; the input is unchanged.
            ApiRefusedError: the API server rejected the write; the input is unchanged.
            ApiUnreachableError: the API server did not accept the write in time.
        """
        # A copy in its stored form, so that later changes of the task's own object have no effect.
        copied = numbers.loads(limits.check_payload(as_dict(changes, "input"), "input"))
        merged = self._session.rules.merge(self._session.input, copied)
        self._save(numbers.loads(limits.check_payload(merged, "input")), self._session.output)

    def update_output(self, output: Any) -> None:
        """Replace the output, and return when it is stored.

        Args:
            output: a dict or a pydantic model.

        Raises:
            TypeError: `output` is neither.
            PayloadError: `output` cannot be stored without loss, or is too large; the stored output is unchanged.
            ApiRefusedError: the API server rejected the write; the stored output is unchanged.
            ApiUnreachableError: the API server did not accept the write in time.
        """
        self._save(self._session.input, numbers.loads(limits.check_payload(as_dict(output, "output"), "output")))

    def _save(self, input: dict[str, Any], output: dict[str, Any] | None) -> None:
        session = self._session
        before = session.input, session.output
        session.input, session.output = input, output
        try:
            session.save()
        except ApiRefusedError:
            session.input, session.output = before
            raise


class Runtime:
    """Time and interruptions: `controller.runtime`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def is_aborted(self) -> bool:
        """Return whether the run is being aborted. If so, clean up and return `controller.response.aborted()`."""
        return self._session.is_aborted()

    @property
    def abort_message(self) -> str | None:
        """The message of the abort, if it has one."""
        return self._session.abort_message

    def is_close_to_timeout(self, seconds: float | None = None) -> bool:
        """Return whether it is time to return `controller.response.continue_(...)`.

        This is so when fewer than `seconds` remain, or when the pod is being terminated (node drained, preempted).

        Args:
            seconds: default $PODRELAY_CLOSE_TO_TIMEOUT_SECONDS, else 180, but at most a fifth of the iteration timeout.
        """
        if self._session.is_stopping():
            return True
        return self._session.remaining_seconds() < (self._default_reserve() if seconds is None else seconds)

    def remaining_seconds(self) -> int:
        """Return the whole seconds until the iteration times out; after SIGTERM, until the end of the grace period."""
        return int(self._session.remaining_seconds())

    def remaining_milliseconds(self) -> int:
        """Return the same as `remaining_seconds` in whole milliseconds."""
        return int(self._session.remaining_seconds() * 1000)

    def _default_reserve(self) -> float:
        configured = os.environ.get(ENV_CLOSE_TO_TIMEOUT, "")
        try:
            value = float(configured)
        except ValueError:
            value = 0.0
        return value if value > 0 else min(DEFAULT_CLOSE_TO_TIMEOUT_SECONDS, self._session.timeout_seconds / 5)


class Logger:
    """Writes structured log lines to stdout at once, as JSON, and into the record soon after: `controller.logger`.

    A record keeps the newest lines: at most 200 lines and 64 KiB.
    """

    def __init__(self, session: Session) -> None:
        self._session = session

    def info(self, message: str, data: Any = None) -> None:
        """Log a message of type info.

        Args:
            message: plain text, truncated to 8192 characters.
            data: additional data: a dict, a pydantic model, or any other JSON value.
        """
        self._session.write_log("info", message, data, None)

    def error(self, message: str, error: BaseException | dict[str, Any] | None = None, data: Any = None) -> None:
        """Log a message of type error.

        Args:
            message: plain text, truncated to 8192 characters.
            error: an exception, or a dict with message, code and data; the traceback is not logged.
            data: additional data: a dict, a pydantic model, or any other JSON value.
        """
        self._session.write_log("error", message, data, error)

    def handler(self) -> "logging.Handler":
        """Return a handler of the standard logging module that writes to this logger.

        `logging.getLogger("shop").addHandler(controller.logger.handler())`
        """
        from podrelay.sdk.loghandler import RecordHandler  # noqa: PLC0415 - most tasks do not need logging

        return RecordHandler(self._session.write_log)


class Task:
    """The current iteration and attempt, and the children of the run: `controller.task`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    @property
    def name(self) -> str:
        """Name of the TaskRun."""
        return self._session.task.id

    @property
    def iteration(self) -> int:
        """Number of the iteration, from 1."""
        return self._session.iteration

    @property
    def attempt(self) -> int:
        """Number of the attempt within this iteration, from 1."""
        return self._session.attempt

    @property
    def is_final_attempt(self) -> bool:
        """Whether an error is final: `retry.limit` is reached, or `retry.on` excludes errors, except for `Retry`."""
        return self._session.is_final_attempt

    def trigger(
        self,
        definition: "str | type[TaskDefinition]",
        input: Any = None,
        *,
        name: str | None = None,
        delay: float | timedelta | None = None,
        start_at: datetime | None = None,
        key: str | None = None,
        overrides: Mapping[str, Any] | None = None,
    ) -> TaskRun:
        """Start a child of this run and return it.

        A retried iteration finds the children that it started before: calls with equal definition and input are
        distinguished by their order. Pass a `key` if that order may change, for example because a retry starts from a
        checkpoint; all calls with the same key refer to the same child, in any iteration.

        Args:
            definition: the task's id, the name of its TaskDefinition, or its class. The definition of this run must
                name it in `triggers`, even if it is the same definition.
            input: a dict or a pydantic model.
            name: a human-readable name.
            delay: whole seconds to wait before the child starts, fewer than 355 days.
            start_at: alternatively, when the child starts; needs a time zone.
            key: identifies the child among the children of this run.
            overrides: settings of the definition that are different for the child, named as in
                `kubectl explain trun.spec.overrides`; its definition must allow each in `allow_overrides`.

        Raises:
            TypeError: `definition`, `input` or `start_at` is of another type; nothing has been sent.
            ValueError: `definition` is not a valid id or name, `delay` or `overrides` is invalid, `start_at` has no
                time zone, or both `delay` and `start_at` are given; nothing has been sent.
            PayloadError: the input cannot be stored; nothing has been sent.
            TriggerConflictError: the child already exists with a different input.
            ApiRefusedError: the API server rejected the request; the exception has its message.
            ApiUnreachableError: the API server did not accept the request in time.
        """
        values = {} if input is None else as_dict(input, "input")
        return self._session.trigger(
            wanted_child(definition, values, name=name, delay=delay, start_at=start_at, key=key, overrides=overrides)
        )

    def list_children(self, definition: "str | type[TaskDefinition] | None" = None) -> list[TaskRun]:
        """Return the children of this run, with their output or error; the oldest first.

        Args:
            definition: return only runs of this definition: its id, its name or its class.

        Raises:
            TypeError: `definition` is neither a string nor a task class.
            ValueError: `definition` is not a valid id or name.
            ApiRefusedError: the API server rejected the request.
            ApiUnreachableError: the API server did not answer in time.
        """
        return self._session.list_children(None if definition is None else definition_name(definition))


class Controller:
    """The interface of a task to its run.

    Attributes:
        response: creates answers.
        state: the stored input and output.
        runtime: how much time is left, and whether the run is being aborted.
        logger: structured log lines.
        task: the current iteration and attempt, and the children of the run.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self.response = Response()
        self.state = State(session)
        self.runtime = Runtime(session)
        self.logger = Logger(session)
        self.task = Task(session)

    @property
    def secret(self) -> Secret:
        """The keys of the Secret that spec.secret names, as strings; read on access."""
        return Secret(self._session.secret_folder)

    @property
    def signals(self) -> Signals:
        """The signals that this iteration was given, because the one before it waited for them."""
        session = self._session
        return Signals(session.signals, session.woken_by, session.list_waiting_signals)

    @property
    def scheduled(self) -> Scheduled | None:
        """The time of the schedule that the run is for, with the times before and after it; None without a schedule."""
        return scheduled_in(os.environ)

    def progress(self, done: float, total: float | None = None, message: str | None = None) -> None:
        """Report progress: `progress(30, 100, "rows")` shows 30/100 rows and 30 percent.

        Frequent calls are cheap: they cause at most one write every two seconds.

        Args:
            done: how much is done, in any unit.
            total: the total amount; None if it is not known, in which case no percentage is shown.
            message: the unit, or other text to show after the numbers.
        """
        count = _number(done) if total is None else f"{_number(done)}/{_number(total)}"
        percent = None if not total else max(0.0, min(100.0, round(100.0 * float(done) / float(total), 1)))
        self._session.report(percent, f"{count} {message}" if message else count)

    def heartbeat(self) -> None:
        """Send a heartbeat, for a task that sets `heartbeat_timeout_seconds`.

        Progress, log lines and saved state also count as heartbeats. Frequent calls are cheap.
        """
        self._session.heartbeat()


def _number(value: float) -> str:
    # Integers with all their digits; floats with so few that binary rounding does not show.
    return str(value) if isinstance(value, int) else f"{value:.12g}"
