"""What goes wrong for a caller, with Webiny's codes where Webiny has one.

Queries and mutations put an error into the `error` of their answer; subscriptions, which have none, end with a GraphQL
error.
"""

from typing import Any, ClassVar

from podrelay.api.errors import PodrelayError
from podrelay.api.invalid_input import INVALID_FIELDS, VALIDATION_FAILED
from podrelay.kube.errors import ApiError, TransportError

RETRY_SECONDS = 2


class GatewayError(PodrelayError):
    """Something that the caller is told about.

    Attributes:
        code: for programs.
        data: more for programs, or None.
    """

    reason = "GatewayError"
    code: ClassVar[str] = "BackgroundTasks/Error"

    def __init__(self, message: str, data: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.data = data

    @property
    def extensions(self) -> dict[str, Any]:
        """What graphql-core puts beside the message, where this becomes a GraphQL error."""
        return {"code": self.code} | ({"data": self.data} if self.data is not None else {})


class NotAuthenticatedError(GatewayError):
    """Nobody knows who the caller is: 401."""

    reason = "NotAuthenticated"
    code = "BackgroundTasks/NotAuthenticated"


class NotAuthorizedError(GatewayError):
    """The caller may not do this: 403. It looks the same whether the object exists or not."""

    reason = "NotAuthorized"
    code = "BackgroundTasks/NotAuthorized"


class UnavailableError(GatewayError):
    """The API server does not answer; the same may succeed later."""

    reason = "Unavailable"
    code = "BackgroundTasks/Unavailable"

    def __init__(self, message: str, data: dict[str, Any] | None = None) -> None:
        super().__init__(message, {"retryable": True, "retryAfterSeconds": RETRY_SECONDS} | (data or {}))


class ValidationError(GatewayError):
    """An argument that cannot be used."""

    reason = "ValidationError"
    code = "BackgroundTasks/ValidationError"

    def __init__(self, message: str, path: str) -> None:
        super().__init__(message, {"issues": [{"path": [path], "message": message}]})


class InvalidInputError(GatewayError):
    """An input that does not fit the inputSchema of its definition; `data.invalidFields` names every field."""

    reason = "InvalidInput"
    code = INVALID_FIELDS

    def __init__(self, invalid_fields: dict[str, Any]) -> None:
        super().__init__(VALIDATION_FAILED, {"invalidFields": invalid_fields})


class DelayError(GatewayError):
    """A delay beyond 355 days."""

    reason = "MaxDelay"
    code = "MAX_DELAY_ERROR"


class UnknownDefinitionError(GatewayError):
    """No definition of that name that could be triggered here: missing and private ones look the same."""

    reason = "DefinitionNotFound"
    code = "TASK_DEFINITION_ERROR"

    def __init__(self, definition: str) -> None:
        super().__init__("Task definition was not found!", {"id": definition})


class TaskNotFoundError(GatewayError):
    """No run of that name."""

    reason = "TaskNotFound"
    code = "BackgroundTasks/Task/NotFoundError"

    def __init__(self, ident: str) -> None:
        super().__init__(f'Task "{ident}" was not found!', {"id": ident})


class TaskAbortError(GatewayError):
    """An abort that came too late, or that contradicts an earlier one."""

    reason = "TaskAbort"
    code = "BackgroundTasks/Task/Abort"


class ConflictError(GatewayError):
    """A run of that name, or with that key, exists already and is another one."""

    reason = "TriggerConflict"
    code = "BackgroundTasks/Task/Conflict"


class RefusedError(GatewayError):
    """The API server, or a policy in it, refused a write; the message is its own."""

    reason = "Refused"
    code = "BackgroundTasks/PersistenceError"


class LimitError(GatewayError):
    """A request that asks for too much at once."""

    reason = "LimitExceeded"
    code = "BackgroundTasks/LimitExceeded"


class InternalError(GatewayError):
    """A bug of ours. Its words are in the log, under the id in the message."""

    reason = "InternalError"
    code = "BackgroundTasks/InternalError"


def from_api(error: Exception, what: str) -> GatewayError:
    """Return what the failure of a request with the caller's token means to the caller.

    Args:
        error: ApiError, TimeoutError or TransportError.
        what: what was tried, for the message: `read task "words"`.
    """
    if not isinstance(error, ApiError):
        return UnavailableError(f"Could not {what}: the API server does not answer. Try again.")
    if error.status == 401:
        return NotAuthenticatedError("The API server does not accept the token.")
    if error.is_transient:
        return UnavailableError(f"Could not {what}: the API server is busy. Try again.")
    if error.status == 403 and "cannot impersonate" in error.message:
        return NotAuthorizedError(
            f"The gateway may not act in your name: {error.message}. An administrator can let it."
        )
    if error.status == 403 and not error.is_quota and "ValidatingAdmissionPolicy" not in error.message:
        return NotAuthorizedError(f"You are not allowed to {what}.")
    return RefusedError(f"Could not {what}: {error.message}", {"status": error.status, "reason": error.api_reason})


API_FAILURES = (ApiError, TimeoutError, TransportError)
"""What a request to the API server raises."""
