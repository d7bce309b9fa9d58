"""What can go wrong in a task author's code before or while it runs."""

from typing import Any

from podrelay.api.errors import PodrelayError
from podrelay.api.invalid_input import INVALID_FIELDS


class DefinitionError(PodrelayError):
    """A task definition class that cannot be used; the message says what to change."""

    reason = "DefinitionError"


class DefinitionWarning(UserWarning):
    """A task definition class cannot be used; whatever uses it raises a DefinitionError."""


class TaskModuleError(PodrelayError):
    """The module with the task cannot be imported, or does not hold the task."""

    reason = "TaskImportError"


class InputError(PodrelayError):
    """The input does not fit the task's input type, or its validation.

    Args:
        message: for people.

    Attributes:
        data: `{"invalidFields": {"<dot.path>": {"code", "message", "data": {"path"}}}}`, the shape that Webiny gives.
    """

    reason = INVALID_FIELDS

    def __init__(self, message: str, data: dict[str, Any]) -> None:
        super().__init__(message)
        self.data = data


class ApiUnreachableError(PodrelayError):
    """The API server could not be reached, or did not take a write, until the deadline."""

    reason = "ApiUnreachable"


class ApiRefusedError(PodrelayError):
    """The API server refused a request for good.

    Attributes:
        status: the HTTP status code.
        message: the API server's words.
    """

    reason = "ApiRefused"

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"the API server answered {status}: {message}")
        self.status = status
        self.message = message


class SupersededError(PodrelayError):
    """This pod must not run, or not go on running, user code: another one has its place."""

    reason = "Superseded"
