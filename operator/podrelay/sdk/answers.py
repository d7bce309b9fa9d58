"""What run() can answer. Task authors make these values by `controller.response`, never by hand."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Done:
    """The work is complete."""

    message: str | None = None
    output: Any = None
    """A JSON object or a pydantic model; None keeps what `state.update_output` has stored."""


@dataclass(frozen=True, slots=True)
class Continue:
    """Another iteration is wanted."""

    input: Any = field(default_factory=dict)
    """A JSON object or a pydantic model, merged (one level deep) over the input of this iteration."""
    wait_seconds: float | None = None
    """Pause before the next iteration."""
    wait_until: str | None = None
    """Or: the time before which it does not start, RFC 3339."""


@dataclass(frozen=True, slots=True)
class Failed:
    """The iteration has failed."""

    message: str
    code: str | None = None
    data: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Aborted:
    """The task has stopped before its work was complete."""

    message: str | None = None


Answer = Done | Continue | Failed | Aborted


def failed(error: BaseException | dict[str, Any] | str) -> Failed:
    """Return the answer for an exception, for a dict with message, code and data, or for a message.

    Of an exception its attributes that are JSON are kept, and never its stack.
    """
    if isinstance(error, str):
        return Failed(error)
    if isinstance(error, dict):
        data = error.get("data")
        return Failed(str(error.get("message") or "Task failed."), _text(error.get("code")), data)
    code = getattr(error, "code", None)
    message = str(error) or type(error).__name__
    return Failed(message, code if isinstance(code, str) and code else type(error).__name__, _attributes(error))


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _attributes(error: BaseException) -> dict[str, Any] | None:
    data = getattr(error, "data", None)
    if isinstance(data, dict):
        return data
    kept = {
        name: value
        for name, value in vars(error).items()
        if not name.startswith("_") and name != "code" and isinstance(value, str | int | float | bool | None)
    }
    return kept or None
