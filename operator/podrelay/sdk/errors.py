"""Exceptions for problems with a task author's code, before or while it runs."""

from typing import Any

from podrelay.api.errors import PodrelayError
from podrelay.api.invalid_input import INVALID_FIELDS


class DefinitionError(PodrelayError):
    """A task class cannot be used; the message says what to change."""

    reason = "DefinitionError"


class DefinitionWarning(UserWarning):
    """A task class cannot be used; using it raises a DefinitionError."""


class TaskModuleError(PodrelayError):
    """The module with the task cannot be imported, or does not contain the task."""

    reason = "TaskImportError"


class InputError(PodrelayError):
    """The input does not match the task's input type, or fails its validation.

    Args:
        message: what is wrong, in plain text.

    Attributes:
        data: `{"invalidFields": {"<dot.path>": {"code", "message", "data": {"path"}}}}`, in the same form as in Webiny.
    """

    reason = INVALID_FIELDS

    def __init__(self, message: str, data: dict[str, Any]) -> None:
        super().__init__(message)
        self.data = data


class ApiUnreachableError(PodrelayError):
    """The API server could not be reached, or did not accept a write, before the deadline."""

    reason = "ApiUnreachable"


class ApiRefusedError(PodrelayError):
    """The API server rejected a request, and a retry would not help.

    Attributes:
        status: the HTTP status code.
        message: the message of the API server.
    """

    reason = "ApiRefused"

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"the API server answered {status}: {message}")
        self.status = status
        self.message = message


class SupersededError(PodrelayError):
    """This pod must not run user code, or must stop running it: another pod has taken its place."""

    reason = "Superseded"
