"""The errors of TaskService. Standard library only, because the command line shows them, too."""

from collections.abc import Mapping
from typing import Any, ClassVar

from podrelay.api.errors import PodrelayError


class ServiceError(PodrelayError):
    """The base class of the errors that TaskService raises, except TriggerConflictError.

    Attributes:
        code: machine-readable; Webiny's code if Webiny has one for the same error.
        retryable: whether the same call may succeed later.
        data: details, as JSON.
    """

    code: ClassVar[str] = "BackgroundTasks/Error"
    retryable: ClassVar[bool] = False

    def __init__(self, message: str, data: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.data = dict(data or {})


class ConfigurationError(ServiceError):
    """There is no usable kubeconfig, context or service account, or the cluster has no Podrelay."""

    reason = "Configuration"
    code = "BackgroundTasks/Configuration"


class DefinitionNotFoundError(ServiceError):
    """There is no TaskDefinition of this id or name."""

    reason = "DefinitionNotFound"
    code = "TASK_DEFINITION_ERROR"

    @classmethod
    def of(cls, definition: str) -> "DefinitionNotFoundError":
        """Return the error for a definition that does not exist, by the id or name that the caller gave."""
        return cls("Task definition was not found!", {"id": definition})


class TaskNotFoundError(ServiceError):
    """There is no TaskRun of this id, or it was deleted while it was watched."""

    reason = "TaskNotFound"
    code = "BackgroundTasks/Task/NotFoundError"

    @classmethod
    def of(cls, run_id: str) -> "TaskNotFoundError":
        """Return the error for a run that does not exist."""
        return cls(f'Task "{run_id}" was not found!', {"id": run_id})


class ScheduleNotFoundError(ServiceError):
    """There is no TaskSchedule of this name."""

    reason = "ScheduleNotFound"
    code = "BackgroundTasks/Schedule/NotFoundError"

    @classmethod
    def of(cls, name: str) -> "ScheduleNotFoundError":
        """Return the error for a name."""
        return cls(f"There is no TaskSchedule {name}; podrelay schedule list shows those that exist", {"name": name})


class SignalConflictError(ServiceError):
    """The run has a signal with this key, and it says something else; nothing was sent."""

    reason = "SignalConflict"
    code = "BackgroundTasks/Signal/Conflict"


class TaskFinishedError(ServiceError):
    """The run has already finished, so it can no longer be aborted, suspended, resumed or signalled."""

    reason = "TaskFinished"
    code = "BackgroundTasks/Task/Abort"


class TaskStartedError(ServiceError):
    """The run has already started, so its start can no longer be changed."""

    reason = "TaskStarted"
    code = "BackgroundTasks/Task/Started"


class InvalidInputError(ServiceError):
    """The input or another argument is invalid; nothing was created or changed.

    `data` is `{"invalidFields": {"<dot.path>": {"code", "message", "data": {"path"}}}}`, as in Webiny.
    """

    reason = "InvalidInput"
    code = "VALIDATION_FAILED_INVALID_FIELDS"

    @classmethod
    def of_field(cls, path: str, message: str, *, code: str = "invalid") -> "InvalidInputError":
        """Return the error for the field at `path`; `message` says what is wrong with it."""
        return cls(f"{path}: {message}", {"invalidFields": {path: invalid_field(path, message, code)}})


def invalid_field(path: str, message: str, code: str) -> dict[str, Any]:
    """Return the entry of one invalid field, in Webiny's format."""
    return {"code": code, "message": message, "data": {"path": path.split(".")}}


class RequestRefusedError(ServiceError):
    """The API server refused a request, and would refuse it again.

    Attributes:
        status: the HTTP status code.
    """

    reason = "RequestRefused"
    code = "BackgroundTasks/RequestRefused"

    def __init__(self, message: str, status: int, data: Mapping[str, Any] | None = None) -> None:
        super().__init__(message, data)
        self.status = status


class ForbiddenError(RequestRefusedError):
    """The caller lacks a right, or the API server does not accept the credentials."""

    reason = "Forbidden"
    code = "BackgroundTasks/NotAuthorized"


class NotFoundError(RequestRefusedError):
    """404: there is no such object."""


class ConflictError(RequestRefusedError):
    """409: the name is taken, or another client has changed the object."""


class ApiUnavailableError(ServiceError):
    """The API server cannot be reached or is overloaded, even after retries; a later call may succeed.

    Attributes:
        retry_after: seconds to wait before the next call, as the API server says; None if it does not say.
    """

    reason = "ApiUnavailable"
    code = "BackgroundTasks/Service/Unavailable"
    retryable = True

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class WaitTimeoutError(ServiceError, TimeoutError):
    """The run has not finished within the timeout; it continues."""

    reason = "WaitTimeout"
    code = "BackgroundTasks/Service/Timeout"
    retryable = True
