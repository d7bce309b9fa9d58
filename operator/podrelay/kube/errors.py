"""Exceptions of requests to the API server. Needs no HTTP library."""

import json

from podrelay.api.errors import PodrelayError


class KubeConfigError(PodrelayError):
    """No usable connection to a cluster is configured; the message says what to set."""


class TransportError(PodrelayError):
    """There is no response: no connection, a lost one, or invalid HTTP. A write may or may not have happened."""


class AnswerTooLargeError(PodrelayError):
    """A response is too large for the available memory. It was not read to the end."""


class ApiError(PodrelayError):
    """The API server answered a request with an error.

    Attributes:
        status: the HTTP status code.
        api_reason: the reason of the Status object, for example AlreadyExists; empty if there is none.
        message: the message of the API server.
        retry_after: seconds to wait as requested by the API server, or None.
    """

    def __init__(self, status: int, api_reason: str, message: str, retry_after: float | None = None) -> None:
        super().__init__(f"{status} {api_reason}".rstrip() + f": {message}")
        self.status = status
        self.api_reason = api_reason
        self.message = message
        self.retry_after = retry_after

    @property
    def is_transient(self) -> bool:
        """Whether the same request may succeed later without any change."""
        return self.status == 429 or self.status >= 500

    @property
    def is_quota(self) -> bool:
        """Whether the object would exceed a ResourceQuota."""
        return self.status == 403 and "exceeded quota" in self.message

    @property
    def is_end_of_namespace(self) -> bool:
        """Whether nothing can be created because the namespace is being deleted."""
        return self.status == 403 and "because it is being terminated" in self.message


class ConflictError(ApiError):
    """409 because the object has changed since it was read: read it again and decide again."""


class AlreadyExistsError(ApiError):
    """409 because an object of that name exists."""


class NotFoundError(ApiError):
    """404: the object, or its kind, does not exist."""


class InvalidError(ApiError):
    """422: the object violates its schema, or a patch could not be applied."""


class GoneError(ApiError):
    """410: the resource version is too old to resume from; list again."""


def from_response(status: int, body: bytes, retry_after: str | None) -> ApiError:
    """Return the exception for a response with `status` >= 400. Never raises, regardless of `body`."""
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
