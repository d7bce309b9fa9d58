"""What can become of a request to the API server, and what its refusals mean. Needs no HTTP library."""

import json

from podrelay.api.errors import PodrelayError


class KubeConfigError(PodrelayError):
    """No usable connection to a cluster is configured; the message says what to set."""

    reason = "KubeConfigError"


class TransportError(PodrelayError):
    """There is no answer: no connection, one that was lost, or no HTTP. A write may or may not have happened."""

    reason = "TransportError"


class AnswerTooLargeError(PodrelayError):
    """An answer has more bytes than anybody here has memory for. It was not read to its end."""

    reason = "AnswerTooLarge"


class ApiError(PodrelayError):
    """The API server answered a request with an error.

    Attributes:
        status: the HTTP status code.
        api_reason: the reason of the Status object, for example AlreadyExists; empty where there was none.
        message: the API server's own words.
        retry_after: seconds that the API server asks to wait, or None.
    """

    reason = "ApiError"

    def __init__(self, status: int, api_reason: str, message: str, retry_after: float | None = None) -> None:
        super().__init__(f"{status} {api_reason}".rstrip() + f": {message}")
        self.status = status
        self.api_reason = api_reason
        self.message = message
        self.retry_after = retry_after

    @property
    def is_transient(self) -> bool:
        """Whether the same request may succeed later without anybody's doing."""
        return self.status == 429 or self.status >= 500

    @property
    def is_quota(self) -> bool:
        """Whether a ResourceQuota has no room for the object."""
        return self.status == 403 and "exceeded quota" in self.message

    @property
    def is_end_of_namespace(self) -> bool:
        """Whether nothing can be created because the namespace is being deleted."""
        return self.status == 403 and "because it is being terminated" in self.message


class ConflictError(ApiError):
    """409 because the object has changed since it was read: read it again and decide anew."""


class AlreadyExistsError(ApiError):
    """409 because there is an object of that name."""


class NotFoundError(ApiError):
    """404: there is no such object, or no such kind of object."""


class InvalidError(ApiError):
    """422: the object breaks a rule of its schema, or a patch did not fit."""


class GoneError(ApiError):
    """410: the resource version is too old to resume from; list again."""


def from_response(status: int, body: bytes, retry_after: str | None) -> ApiError:
    """Return the error for a response with `status` >= 400. Never raises, whatever `body` holds."""
    reason, message = "", body[:500].decode(errors="replace").strip()
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        document = None
    if isinstance(document, dict):
        reason, message = str(document.get("reason") or ""), str(document.get("message") or message)
    seconds = float(retry_after) if retry_after and retry_after.isascii() and retry_after.isdigit() else None
    return _class_of(status, reason)(status, reason, message, seconds)


def _class_of(status: int, reason: str) -> type[ApiError]:
    if status == 409:
        return AlreadyExistsError if reason == "AlreadyExists" else ConflictError
    return {404: NotFoundError, 410: GoneError, 422: InvalidError}.get(status, ApiError)
