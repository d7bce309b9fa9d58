"""Errors that callers see, with Webiny's codes where they exist.

Queries and mutations return an error in the field `error` of their answer; subscriptions, which have no such field, end
with a GraphQL error.
"""

import logging
import secrets
from typing import Any, ClassVar

from podrelay.api.errors import PodrelayError
from podrelay.api.invalid_input import INVALID_FIELDS, VALIDATION_FAILED
from podrelay.kube.errors import ApiError, TransportError

RETRY_SECONDS = 2

log = logging.getLogger(__name__)


class GatewayError(PodrelayError):
    """An error that the caller sees.

    Attributes:
        code: the machine-readable code.
        data: machine-readable details, or None.
    """

    code: ClassVar[str] = "BackgroundTasks/Error"

    def __init__(self, message: str, data: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.data = data

    @property
    def extensions(self) -> dict[str, Any]:
        """The `extensions` of a GraphQL error."""
        return {"code": self.code} | ({"data": self.data} if self.data is not None else {})


class NotAuthenticatedError(GatewayError):
    """The caller is not authenticated: 401."""

    code = "BackgroundTasks/NotAuthenticated"


class NotAuthorizedError(GatewayError):
    """The caller may not do this: 403. It does not reveal whether the object exists."""

    code = "BackgroundTasks/NotAuthorized"


class UnavailableError(GatewayError):
    """The API server does not respond; the same request may succeed later."""

    code = "BackgroundTasks/Unavailable"

    def __init__(self, message: str, data: dict[str, Any] | None = None) -> None:
        super().__init__(message, {"retryable": True, "retryAfterSeconds": RETRY_SECONDS} | (data or {}))


class ValidationError(GatewayError):
    """An argument is invalid."""

    code = "BackgroundTasks/ValidationError"

    def __init__(self, message: str, path: str) -> None:
        super().__init__(message, {"issues": [{"path": [path], "message": message}]})


class InvalidInputError(GatewayError):
    """An input does not match the inputSchema of its definition; `data.invalidFields` names every field."""

    code = INVALID_FIELDS

    def __init__(self, invalid_fields: dict[str, Any]) -> None:
        super().__init__(VALIDATION_FAILED, {"invalidFields": invalid_fields})


class ScheduleNotFoundError(GatewayError):
    """There is no schedule with this id."""

    code = "BackgroundTasks/Schedule/NotFoundError"

    def __init__(self, ident: str) -> None:
        super().__init__(f'Schedule "{ident}" was not found!', {"id": ident})


class TaskFinishedError(GatewayError):
    """A signal for a task that has finished."""

    code = "BackgroundTasks/Signal/TaskFinished"


class SignalConflictError(GatewayError):
    """The task has another signal with this idempotency key."""

    code = "BackgroundTasks/Signal/Conflict"


class DelayError(GatewayError):
    """A delay is too long: it must be below 355 days."""

    code = "MAX_DELAY_ERROR"


class UnknownDefinitionError(GatewayError):
    """There is no such definition, or it is private; the error does not reveal which."""

    code = "TASK_DEFINITION_ERROR"

    def __init__(self, definition: str) -> None:
        super().__init__("Task definition was not found!", {"id": definition})


class TaskNotFoundError(GatewayError):
    """There is no run with this id."""

    code = "BackgroundTasks/Task/NotFoundError"

    def __init__(self, ident: str) -> None:
        super().__init__(f'Task "{ident}" was not found!', {"id": ident})


class TaskAbortError(GatewayError):
    """An abort came too late, or contradicts an earlier one."""

    code = "BackgroundTasks/Task/Abort"


class TaskStartedError(GatewayError):
    """A task cannot be rescheduled any more."""

    code = "BackgroundTasks/Task/Started"


class ConflictError(GatewayError):
    """Another run with the same name or idempotency key already exists."""

    code = "BackgroundTasks/Task/Conflict"


class RefusedError(GatewayError):
    """The API server, or a policy in it, refused a write; the message is its own."""

    code = "BackgroundTasks/PersistenceError"


class LimitError(GatewayError):
    """A request exceeds a limit."""

    code = "BackgroundTasks/LimitExceeded"


class InternalError(GatewayError):
    """A bug in the gateway. The details are in its log, under the id in the message."""

    code = "BackgroundTasks/InternalError"


def from_api(error: Exception, what: str) -> GatewayError:
    """Return the error that the caller sees when a request to the API server has failed.

    Args:
        error: ApiError, TimeoutError or TransportError.
        what: the action, for the message: `read task "words"`.
    """
    if not isinstance(error, ApiError):
        return UnavailableError(f"Could not {what}: the API server does not respond. Try again.")
    if error.status == 401:
        return NotAuthenticatedError("The API server does not accept the token.")
    if error.is_transient:
        return UnavailableError(f"Could not {what}: the API server is busy. Try again.")
    if error.status == 403 and "cannot impersonate" in error.message:
        return NotAuthorizedError(
            f"The gateway may not act on your behalf: {error.message}. Ask an administrator to allow it."
        )
    if error.status == 403 and not error.is_quota and "ValidatingAdmissionPolicy" not in error.message:
        return NotAuthorizedError(f"You are not allowed to {what}.")
    return RefusedError(f"Could not {what}: {error.message}", {"status": error.status, "reason": error.api_reason})


API_FAILURES = (ApiError, TimeoutError, TransportError)
"""The exceptions that a request to the API server raises."""


def masked(error: BaseException) -> InternalError:
    """Log a bug, and return the error that the caller sees instead."""
    ident = secrets.token_hex(4)
    log.error("internal error %s", ident, exc_info=error)
    return InternalError(f"Internal error {ident}. See the gateway's log for details.", {"id": ident})
