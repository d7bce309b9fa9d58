"""Explains why a request failed."""

import json
from typing import Any, Final

from podrelay.api import names
from podrelay.client.errors import (
    ApiUnavailableError,
    ConfigurationError,
    ConflictError,
    ForbiddenError,
    InvalidInputError,
    NotFoundError,
    RequestRefusedError,
    ServiceError,
    invalid_field,
)
from podrelay.client.packages import ApiException, urllib3

_TRANSIENT: Final = frozenset({0, 408, 429, 500, 502, 503, 504})
"""Statuses after which the same request may succeed; 0 means a broken TLS connection."""


def explain(error: Exception) -> ServiceError:
    """Return the ServiceError that corresponds to `error`.

    Args:
        error: an ApiException of the kubernetes package, or an exception of the connection.
    """
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        return ConfigurationError(f"the API server's certificate is not trusted: {_first_line(error)}")
    if not isinstance(error, ApiException):
        return ApiUnavailableError(f"the API server cannot be reached: {_first_line(error)}")
    body = _body(error)
    if (
        error.status == 404 and not body
    ):  # for a missing resource there is a Status in the body; here the whole API is missing
        return ConfigurationError(
            f"the API server does not know {names.API_VERSION}; is Podrelay installed in this cluster?"
        )
    words = body.get("message") or str(error.reason or "no reason given")
    if error.status in _TRANSIENT:
        return ApiUnavailableError(f"the API server answered {error.status}: {words}", _retry_after(error))
    if error.status == 401:
        return ForbiddenError(f"the API server does not accept these credentials: {words}", 401)
    if error.status == 403:
        return ForbiddenError(words, 403)
    if error.status in {400, 422}:
        causes = body.get("details", {}).get("causes") or []
        fields = {_path(cause): invalid_field(_path(cause), *_cause(cause)) for cause in causes}
        return InvalidInputError(words, {"invalidFields": fields})
    kind = {404: NotFoundError, 409: ConflictError}.get(error.status, RequestRefusedError)
    return kind(words, error.status, {"details": body.get("details")})


def _body(error: ApiException) -> dict[str, Any]:
    try:
        body = json.loads(error.body or "")
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _path(cause: dict[str, Any]) -> str:
    path: str = cause.get("field") or "<root>"
    return path.removeprefix("spec.")


def _cause(cause: dict[str, Any]) -> tuple[str, str]:
    return cause.get("message", ""), cause.get("reason", "invalid")


def _retry_after(error: ApiException) -> float | None:
    text = (error.headers or {}).get("Retry-After", "")
    return float(text) if text.isdigit() else None


def _first_line(error: Exception) -> str:
    if isinstance(error, urllib3.exceptions.NewConnectionError) and error.__cause__ is not None:
        return str(error.__cause__)
    return str(error).splitlines()[0] if str(error) else type(error).__name__
