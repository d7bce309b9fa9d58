"""What run() can answer. Task authors make these values by `controller.response`, never by hand.

Named tuples, because dataclasses would cost every pod 9 ms of its start.
"""

import os
from typing import Any, NamedTuple

from podrelay.api import limits
from podrelay.sdk.verdicts import Fatal, Retry


class Done(NamedTuple):
    """The work is complete."""

    message: str | None = None
    """For people."""
    output: Any = None
    """A JSON object or a pydantic model; None keeps what `state.update_output` has stored."""


class WaitForChildren(NamedTuple):
    """What is waited for before the next iteration."""

    definition: str | None = None
    """Name of a TaskDefinition: only its runs are waited for; None: all children."""


class Continue(NamedTuple):
    """Another iteration is wanted."""

    input: Any
    """A JSON object or a pydantic model, merged (one level deep) over the input of this iteration."""
    wait_seconds: float | None = None
    """Pause before the next iteration; None: it starts at once."""
    wait_for_children: WaitForChildren | None = None
    """The children that have to end before the next iteration; None: it does not wait for any."""
    is_whole: bool = False
    """Whether `input` is the whole input of the next iteration, and not merged over that of this one."""


class Failed(NamedTuple):
    """The iteration has failed."""

    message: str
    """For people."""
    code: str | None = None
    """For programs."""
    data: dict[str, Any] | None = None
    """A JSON object with more about it."""
    retryable: bool | None = None
    """False: another try would be of no use; True: it is asked for; None: the definition's `retry` decides."""
    retry_after_seconds: float | None = None
    """Pause before the next try; None: as the definition's `retry` says."""
    refusal: str | None = None
    """InvalidInput or Rejected, where run() was not called at all."""


class Aborted(NamedTuple):
    """The task has stopped before its work was complete."""

    message: str | None = None
    """For people."""


Answer = Done | Continue | Failed | Aborted
"""What `run` may be annotated to return."""


class Built(NamedTuple):
    """An answer that has been made, and where; str() tells it in words."""

    answer: Answer
    call: str
    """For example `controller.response.done(...)`."""
    file: str
    line: int

    def __str__(self) -> str:
        return f"it made the answer {self.call} in line {self.line} of {os.path.basename(self.file)}"  # noqa: PTH119


def failed(error: BaseException | dict[str, Any] | str) -> Failed:
    """Return the answer for an exception, for a dict with message, code and data, or for a message.

    Of an exception its attributes that are JSON are kept, and never its stack; of `Retry` and `Fatal` also what they
    say about another try.
    """
    if isinstance(error, str):
        return Failed(error)
    if isinstance(error, dict):
        data = error.get("data")
        return Failed(str(error.get("message") or "Task failed."), _text(error.get("code")), data)
    if isinstance(error, Retry | Fatal):
        after = error.after_seconds if isinstance(error, Retry) else None
        return Failed(
            str(error) or type(error).__name__,
            error.code or type(error).__name__,
            error.data,
            retryable=isinstance(error, Retry),
            retry_after_seconds=after,
        )
    code = getattr(error, "code", None)
    message = _message(error)
    if isinstance(code, str) and code:
        return Failed(message, code, _attributes(error, "code"))
    return Failed(message, type(error).__name__, _attributes(error))


def _message(error: BaseException) -> str:
    words = str(error) or type(error).__name__
    if not error.args or type(error).__str__ is not KeyError.__str__:
        return words
    # Of a KeyError that is the key, and nothing else.
    advice = "; there is no such environment variable, set it with env in the template" if _is_of_environ(error) else ""
    return f"{type(error).__name__}: {words}{advice}"


def _is_of_environ(error: BaseException) -> bool:
    last = error.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    return last is not None and last.tb_frame.f_code is type(os.environ).__getitem__.__code__


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _attributes(error: BaseException, *told_already: str) -> dict[str, Any] | None:
    data = getattr(error, "data", None)
    if isinstance(data, dict):
        return data
    kept = {
        name: value
        for name, value in vars(error).items()
        if not name.startswith("_") and name not in told_already and _is_json(value)
    }
    return kept or None


def _is_json(value: Any) -> bool:
    try:
        limits.check_payload({"value": value}, "data")
    except limits.PayloadError:
        return False
    return value is not None
