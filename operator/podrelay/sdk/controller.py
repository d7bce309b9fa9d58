"""What run() is given besides its input: answers, state, time, progress, log."""

import copy
import os
import sys
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from podrelay.api import limits, numbers
from podrelay.api.wanted_run import WantedRun
from podrelay.sdk.answers import Aborted, Answer, Built, Continue, Done, Failed, WaitForChildren, failed
from podrelay.sdk.children import definition_name, wanted_child
from podrelay.sdk.errors import ApiRefusedError
from podrelay.sdk.secret import Secret
from podrelay.sdk.task import TaskRun
from podrelay.sdk.validation import InputRules
from podrelay.sdk.verdicts import seconds_until

if TYPE_CHECKING:
    import logging

    from podrelay.sdk.definition import TaskDefinition

_AnswerT = TypeVar("_AnswerT", bound=Answer)

ENV_CLOSE_TO_TIMEOUT: Final = "PODRELAY_CLOSE_TO_TIMEOUT_SECONDS"
DEFAULT_CLOSE_TO_TIMEOUT_SECONDS: Final = 180.0
"""Webiny's default: three minutes before the end an iteration should hand over."""


class Session(Protocol):
    """What stands behind a controller: the runner in a pod, or a test."""

    input: dict[str, Any]
    output: dict[str, Any] | None
    rules: InputRules
    """What every input has to fit."""

    @property
    def task(self) -> TaskRun:
        """The run as it is now."""

    @property
    def iteration(self) -> int:
        """Which call of run() this is, from 1."""

    @property
    def attempt(self) -> int:
        """Which try of this iteration, from 1."""

    @property
    def is_final_attempt(self) -> bool:
        """Whether an error now is final."""

    @property
    def secret_folder(self) -> str:
        """Where the keys of the run's Secret are files; empty where it names none."""

    @property
    def timeout_seconds(self) -> float:
        """How long the whole iteration may take."""

    def save(self) -> None:
        """Store input and output; return when they are safe."""

    def report(self, percent: float | None, message: str) -> None:
        """Take progress, to be stored soon."""

    def heartbeat(self) -> None:
        """Take a sign of life."""

    def write_log(self, kind: str, message: str, data: Any, error: Any) -> None:
        """Take a log line."""

    def remaining_seconds(self) -> float:
        """Time until the iteration is ended."""

    def is_aborted(self) -> bool:
        """Whether the run is to stop."""

    def is_stopping(self) -> bool:
        """Whether the pod is being ended for another reason than an abort."""

    @property
    def abort_message(self) -> str | None:
        """Why the run is to stop."""

    def trigger(self, child: WantedRun) -> TaskRun:
        """Start a child of the run, or find it where an earlier try has started it."""

    def list_children(self, definition: str | None) -> list[TaskRun]:
        """Return the children of the run, or those of one definition, by name; the oldest first."""


def as_dict(value: Any, what: str) -> dict[str, Any]:
    """Return a JSON object for a dict or a pydantic model.

    Raises:
        TypeError: it is neither.
    """
    if isinstance(value, dict):
        return value
    dump: Callable[..., Any] | None = getattr(value, "model_dump", None)
    if dump is not None:
        dumped: dict[str, Any] = dump(mode="json", by_alias=True)
        return dumped
    raise TypeError(f"{what} must be a dict or a pydantic model, not {type(value).__name__}")


class Response:
    """Makes answers: `return controller.response.done(...)`."""

    def __init__(self) -> None:
        # The last one of each line, for who looks whether run() has returned it.
        self._built: dict[tuple[str, int], Built] = {}

    def done(self, message_or_output: Any = None, output: Any = None) -> Done:
        """Return "the work is complete": `done()`, `done(output)`, `done(message)` or `done(message, output)`.

        Args:
            message_or_output: a message for people, or the output where there is no message.
            output: the result, a dict or pydantic model; None keeps what `state.update_output` has stored.

        Raises:
            TypeError: the output is neither.
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
        """Return "another iteration is wanted".

        Args:
            input: a dict or model, merged over the present input one level deep.
            seconds: pause before the next iteration; below 1 means none, more than 355 days means 355 days.
            date: or the time before which it does not start; without a time zone it is taken as UTC. Where both are
                given, `seconds` counts.
            replace: `input` is all that the next iteration gets; this is how keys are removed.

        Raises:
            TypeError: the input is neither.
        """
        changes = {} if input is None else as_dict(input, "input")
        if seconds is None and date is not None:
            seconds = seconds_until(date)
        if seconds is None or not seconds >= 1:  # so NaN is no wait, too
            return self._made(Continue(changes, is_whole=replace), "continue_")
        wait = min(float(seconds), float(limits.MAX_WAIT_SECONDS))
        return self._made(Continue(changes, wait, is_whole=replace), "continue_")

    def wait_for_children(self, input: Any = None, definition: "str | type[TaskDefinition] | None" = None) -> Continue:
        """Return "another iteration is wanted, when all children have ended", however they end; at once without any.

        `controller.task.list_children()` tells the next iteration what has become of them.

        Args:
            input: as of `continue_`.
            definition: wait for the runs of this definition only: its id, its name or its class.

        Raises:
            TypeError: the input is neither a dict nor a model, or `definition` no text and no class of a task.
            ValueError: `definition` can be the name of none.
        """
        wanted = None if definition is None else definition_name(definition)
        changes = {} if input is None else as_dict(input, "input")
        return self._made(Continue(changes, wait_for_children=WaitForChildren(wanted)), "wait_for_children")

    def error(self, error: BaseException | dict[str, Any] | str) -> Failed:
        """Return "this has failed"; an exception that leaves run() means the same.

        `podrelay.Retry` asks for another try, `podrelay.Fatal` rules one out; both can be raised as well.

        Args:
            error: an exception; or a dict with message, and code and data if you like; or a message. Of an exception
                its message, its `code` or the name of its class, and its attributes that are JSON are kept.
        """
        return self._made(failed(error), "error")

    def aborted(self, message: str | None = None) -> Aborted:
        """Return "I have stopped, as I was told". The run ends as Aborted, also where nobody has aborted it.

        Args:
            message: what has become of the work so far, for people.
        """
        return self._made(Aborted(message), "aborted")

    def _made(self, answer: _AnswerT, name: str) -> _AnswerT:
        frame = sys._getframe(2)  # whoever has called the method that calls this
        file, line = frame.f_code.co_filename, frame.f_lineno
        self._built[file, line] = Built(answer, f"controller.response.{name}(...)", file, line)
        return answer


class State:
    """Input and output of the run, as they are stored: `controller.state`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def get_task(self) -> TaskRun:
        """Return the run as it is now; a copy."""
        task = self._session.task
        return task._replace(input=copy.deepcopy(task.input), output=copy.deepcopy(task.output))

    def get_status(self) -> str:
        """Return pending, running, success, failed or aborted."""
        return self._session.task.status

    def get_input(self) -> dict[str, Any]:
        """Return the input, with all updates."""
        return copy.deepcopy(self._session.input)

    def get_output(self) -> dict[str, Any] | None:
        """Return the output so far, or None."""
        return copy.deepcopy(self._session.output)

    def update_input(self, changes: Any) -> None:
        """Merge `changes` over the input, one level deep, and return when it is stored.

        A further try of this iteration starts from what is stored; so does the next iteration.

        Args:
            changes: a dict or pydantic model.

        Raises:
            TypeError: it is neither.
            PayloadError: it cannot be stored without loss, or the whole is too large; nothing has changed then.
            InputError: the whole does not fit the task's input type or validation; nothing has changed then.
            ApiRefusedError: the API server refuses it; nothing has changed then.
            ApiUnreachableError: the API server did not take it in time.
        """
        # A copy, as it is stored: what the task does to its own object afterwards stays its own business.
        copied = numbers.loads(limits.check_payload(as_dict(changes, "input"), "input"))
        merged = self._session.rules.merge(self._session.input, copied)
        self._save(numbers.loads(limits.check_payload(merged, "input")), self._session.output)

    def update_output(self, output: Any) -> None:
        """Replace the output, and return when it is stored.

        Args:
            output: a dict or pydantic model.

        Raises:
            TypeError: it is neither.
            PayloadError: it cannot be stored without loss, or is too large; nothing has changed then.
            ApiRefusedError: the API server refuses it; nothing has changed then.
            ApiUnreachableError: the API server did not take it in time.
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
        """Tell whether the run is to stop: clean up and return `controller.response.aborted()`."""
        return self._session.is_aborted()

    @property
    def abort_message(self) -> str | None:
        """Why the run is to stop, if whoever aborted it said so."""
        return self._session.abort_message

    def is_close_to_timeout(self, seconds: float | None = None) -> bool:
        """Tell whether it is time to return `controller.response.continue_(...)`.

        That is so when fewer than `seconds` remain, and when the pod is being ended (node drained, preempted).

        Args:
            seconds: default $PODRELAY_CLOSE_TO_TIMEOUT_SECONDS, else 180, but at most a fifth of the iteration's time.
        """
        if self._session.is_stopping():
            return True
        return self._session.remaining_seconds() < (self._default_reserve() if seconds is None else seconds)

    def remaining_seconds(self) -> int:
        """Return the whole seconds until the iteration is ended; after SIGTERM what is left of the grace period."""
        return int(self._session.remaining_seconds())

    def remaining_milliseconds(self) -> int:
        """Return the same in whole milliseconds."""
        return int(self._session.remaining_seconds() * 1000)

    def _default_reserve(self) -> float:
        configured = os.environ.get(ENV_CLOSE_TO_TIMEOUT, "")
        try:
            value = float(configured)
        except ValueError:
            value = 0.0
        return value if value > 0 else min(DEFAULT_CLOSE_TO_TIMEOUT_SECONDS, self._session.timeout_seconds / 5)


class Logger:
    """Structured log lines: to stdout at once, as JSON, and soon into the record of the iteration: `controller.logger`.

    A record keeps the newest 200 lines, or 64 KiB of them.
    """

    def __init__(self, session: Session) -> None:
        self._session = session

    def info(self, message: str, data: Any = None) -> None:
        """Log what happens.

        Args:
            message: for people, cut at 8192 characters.
            data: more about it: a dict, a pydantic model, or any other JSON value.
        """
        self._session.write_log("info", message, data, None)

    def error(self, message: str, error: BaseException | dict[str, Any] | None = None, data: Any = None) -> None:
        """Log what went wrong.

        Args:
            message: for people, cut at 8192 characters.
            error: the exception, or a dict with message, code and data; never its stack.
            data: more about it: a dict, a pydantic model, or any other JSON value.
        """
        self._session.write_log("error", message, data, error)

    def handler(self) -> "logging.Handler":
        """Return a handler of the standard logging module whose lines go the same way.

        `logging.getLogger("shop").addHandler(controller.logger.handler())`
        """
        from podrelay.sdk.loghandler import RecordHandler  # noqa: PLC0415 - most tasks need no logging module

        return RecordHandler(self._session.write_log)


class Task:
    """Which call of run() this is, and the children of the run: `controller.task`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    @property
    def name(self) -> str:
        """Name of the TaskRun."""
        return self._session.task.id

    @property
    def iteration(self) -> int:
        """Which call of run(), from 1."""
        return self._session.iteration

    @property
    def attempt(self) -> int:
        """Which try of this iteration, from 1."""
        return self._session.attempt

    @property
    def is_final_attempt(self) -> bool:
        """Whether an error now is final: no try is left, or `retry.on` leaves errors out. `Retry` asks nevertheless."""
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
    ) -> TaskRun:
        """Start a child of this run, and return it as it is then.

        A retried iteration finds the children that it has started before: calls with equal definition and input are
        told apart by their order. Give each a `key` where that may change, for example because a retry starts from a
        checkpoint; calls with one key are one child, in whatever iteration.

        Args:
            definition: the task's id, the name of its TaskDefinition, or its class. That of this run has to name it
                in `triggers`, also where it is its own.
            input: a dict or model.
            name: a name for people.
            delay: whole seconds to wait before it starts, fewer than 355 days.
            start_at: or when it starts; needs a time zone.
            key: what makes this child the only one of its kind among those of this run.

        Raises:
            TypeError: `definition`, `input` or `start_at` is of another type; nothing has been sent.
            ValueError: `definition` cannot be the name of one, `delay` is invalid or given with `start_at`, or
                `start_at` has no time zone; nothing has been sent.
            PayloadError: the input cannot be stored; nothing has been sent.
            TriggerConflictError: the child exists, with another input.
            ApiRefusedError: the API server refused it; its words are in the message.
            ApiUnreachableError: the API server did not take it in time.
        """
        values = {} if input is None else as_dict(input, "input")
        return self._session.trigger(
            wanted_child(definition, values, name=name, delay=delay, start_at=start_at, key=key)
        )

    def list_children(self, definition: "str | type[TaskDefinition] | None" = None) -> list[TaskRun]:
        """Return the children of this run, with their output or error; the oldest first.

        Args:
            definition: only those of this definition: its id, its name or its class.

        Raises:
            TypeError: `definition` is no text and no class of a task.
            ValueError: `definition` can be the name of none.
            ApiRefusedError: the API server refused to list them.
            ApiUnreachableError: the API server did not answer in time.
        """
        return self._session.list_children(None if definition is None else definition_name(definition))


class Controller:
    """Everything a task can do besides computing.

    Attributes:
        response: makes answers.
        state: input and output as they are stored.
        runtime: how much time is left, and whether the run is to stop.
        logger: structured log lines.
        task: which call of run() this is, and the children of the run.
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
        """The keys of the Secret that spec.secret names, each a text; read when they are asked for."""
        return Secret(self._session.secret_folder)

    def progress(self, done: float, total: float | None = None, message: str | None = None) -> None:
        """Tell how far the work is: `progress(30, 100, "rows")` shows 30/100 rows and 30 percent.

        It costs nothing to call it often: at most one write every two seconds comes of it.

        Args:
            done: how much is done, in the task's own unit.
            total: how much there is; None where that is not known, which shows no percentage.
            message: the unit, or whatever else is to stand behind the numbers.
        """
        count = _number(done) if total is None else f"{_number(done)}/{_number(total)}"
        percent = None if not total else max(0.0, min(100.0, round(100.0 * float(done) / float(total), 1)))
        self._session.report(percent, f"{count} {message}" if message else count)

    def heartbeat(self) -> None:
        """Give a sign of life without words, for a task that sets `heartbeat_timeout_seconds`.

        Progress, log lines and saved state are signs of life, too. It costs nothing to call it often.
        """
        self._session.heartbeat()


def _number(value: float) -> str:
    # Whole numbers with all their digits; of others as many as do not show how binary numbers round.
    return str(value) if isinstance(value, int) else f"{value:.12g}"
