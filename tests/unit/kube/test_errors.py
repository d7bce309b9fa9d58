"""Rejections by the API server and their exceptions: a table."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podrelay.kube import errors


def body(reason: str, message: str = "words") -> bytes:
    return json.dumps({"kind": "Status", "reason": reason, "message": message}).encode()


@pytest.mark.parametrize(
    ("status", "reason", "kind", "is_transient"),
    [
        (400, "BadRequest", errors.ApiError, False),
        (403, "Forbidden", errors.ApiError, False),
        (404, "NotFound", errors.NotFoundError, False),
        (409, "AlreadyExists", errors.AlreadyExistsError, False),
        (409, "Conflict", errors.ConflictError, False),
        (410, "Expired", errors.GoneError, False),
        (422, "Invalid", errors.InvalidError, False),
        (429, "TooManyRequests", errors.ApiError, True),
        (500, "InternalError", errors.ApiError, True),
        (503, "ServiceUnavailable", errors.ApiError, True),
    ],
)
def test_each_rejection_has_its_class(
    status: int, reason: str, kind: type[errors.ApiError], is_transient: bool
) -> None:
    error = errors.from_response(status, body(reason), None)

    assert type(error) is kind
    assert (error.status, error.api_reason, error.message, error.is_transient) == (
        status,
        reason,
        "words",
        is_transient,
    )
    assert str(error) == f"{status} {reason}: words"


def test_a_terminating_namespace_is_distinguished_from_other_rejections() -> None:
    words = 'pods "x" is forbidden: unable to create new content in namespace shop because it is being terminated'

    assert errors.from_response(403, body("Forbidden", words), None).is_end_of_namespace
    assert not errors.from_response(403, body("Forbidden", "pods is forbidden"), None).is_end_of_namespace


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("3", 3.0),
        ("0", 0.0),
        (None, None),
        ("", None),
        ("Wed, 21 Oct 2026 07:28:00 GMT", None),
        ("²", None),
        ("-1", None),
    ],
)
def test_retry_after_is_used_if_it_is_a_number(header: str | None, seconds: float | None) -> None:
    assert errors.from_response(429, b"", header).retry_after == seconds


@pytest.mark.parametrize("content", [b"<html>502 Bad Gateway</html>", b"", b"[1]", b"\xff\xfe", b"[" * 100_000])
def test_an_answer_without_a_status_object_is_still_an_error(content: bytes) -> None:
    error = errors.from_response(502, content, None)

    assert error.is_transient
    assert len(error.message) <= 500


def test_a_message_is_unchanged() -> None:
    assert str(errors.from_response(403, body("Forbidden", "a : b"), None)) == "403 Forbidden: a : b"
    assert str(errors.from_response(502, b"oops", None)) == "502: oops"


@given(st.integers(400, 599), st.binary(max_size=200), st.none() | st.text(max_size=10))
def test_any_answer_becomes_an_error(status: int, content: bytes, header: str | None) -> None:
    assert errors.from_response(status, content, header).status == status
