"""The possible answers of run(). Task authors create them with `controller.response`, never directly.

Named tuples, because dataclasses would add 9 ms to the start of every pod.
"""

import os
from typing import Any, NamedTuple

from podrelay.api import limits
from podrelay.sdk.retry_exceptions import Fatal, Retry


class Done(NamedTuple):
    """The work is complete."""

    message: str | None = None
    """A message in plain text."""
    output: Any = None
    """The result: a JSON object or a pydantic model; None keeps the output stored by `state.update_output`."""


class WaitForChildren(NamedTuple):
    """The children to wait for before the next iteration."""

    definition: str | None = None
    """Name of a TaskDefinition, to wait only for its runs; None: all children."""


class WaitForSignal(NamedTuple):
    """The signals to wait for before the next iteration."""

    names: tuple[str, ...]
    """Names of the signals."""
    number: int = 1
    """How many of them end the wait."""


class Continue(NamedTuple):
    """The run needs another iteration."""

    input: Any
    """A JSON object or a pydantic model, merged (one level deep) over the input of this iteration."""
    wait_seconds: float | None = None
    """Pause before the next iteration; None: it starts immediately."""
    wait_for_children: WaitForChildren | None = None
    """The children that must finish before the next iteration; None: it does not wait for children."""
    wait_for_signal: WaitForSignal | None = None
    """The signals that end the wait, even if its time is not over and children are unfinished; None: no signal does."""
    is_whole: bool = False
    """Whether `input` is the complete input of the next iteration, instead of being merged over the current one."""


class Failed(NamedTuple):
    """The iteration has failed."""

    message: str
    """What happened, in plain text."""
    code: str | None = None
    """Machine-readable error code."""
    data: dict[str, Any] | None = None
    """A JSON object with details."""
    retryable: bool | None = None
    """False: do not retry; True: retry; None: the definition's `retry` decides."""
    retry_after_seconds: float | None = None
    """Pause before the next attempt; None: as configured by the definition's `retry`."""
    refusal: str | None = None
    """InvalidInput or Rejected if run() was not called at all."""


class Aborted(NamedTuple):
    """The task has stopped before its work was complete."""

    message: str | None = None
    """A message in plain text."""


Answer = Done | Continue | Failed | Aborted
"""The return type of `run`, for annotations."""


class Built(NamedTuple):
    """An answer that the task has created, and where; str() describes it."""

    answer: Answer
    call: str
    """For example `controller.response.done(...)`."""
    file: str
    line: int

    def __str__(self) -> str:
        return f"it made the answer {self.call} in line {self.line} of {os.path.basename(self.file)}"  # noqa: PTH119


def failed(error: BaseException | dict[str, Any] | str) -> Failed:
    """Return the answer for an exception, for a dict with message, code and data, or for a message.

    The answer keeps those attributes of an exception that are JSON values, but never its traceback. `Retry` and `Fatal`
    also determine whether the iteration is retried.
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
    text = str(error) or type(error).__name__
    if not error.args or type(error).__str__ is not KeyError.__str__:
        return text
    # str() of a KeyError is only the key.
    advice = "; this environment variable is not set; set it with env in the template" if _is_of_environ(error) else ""
    return f"{type(error).__name__}: {text}{advice}"


def _is_of_environ(error: BaseException) -> bool:
    last = error.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    return last is not None and last.tb_frame.f_code is type(os.environ).__getitem__.__code__


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _attributes(error: BaseException, *excluded: str) -> dict[str, Any] | None:
    data = getattr(error, "data", None)
    if isinstance(data, dict):
        return data
    kept = {
        name: value
        for name, value in vars(error).items()
        if not name.startswith("_") and name not in excluded and _is_json(value)
    }
    return kept or None


def _is_json(value: Any) -> bool:
    try:
        limits.check_payload({"value": value}, "data")
    except limits.PayloadError:
        return False
    return value is not None
