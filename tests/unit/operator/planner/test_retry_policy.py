"""Whether a failed attempt is repeated: policy, attempts, cause, and the task's own settings."""

from typing import Any

import msgspec
import pytest

from podrelay.operator.objects.answers import Response
from podrelay.operator.objects.definitions import RetryPolicy
from podrelay.operator.planner import retry_policy

ALL = ("Error", "PodFailure", "Timeout")
NONE: tuple[str, ...] = ()


def error(**says: Any) -> Response:
    return msgspec.convert({"status": "error", "error": {"message": "odd"}, **says}, Response)


@pytest.mark.parametrize(
    ("limit", "on", "attempts", "cause", "says", "allowed"),
    [
        (0, ALL, 0, "Error", {}, False),
        (2, ALL, 1, "Error", {}, True),
        (2, ALL, 2, "Error", {}, False),
        (2, ("PodFailure",), 0, "Error", {}, False),
        (2, ("Error",), 0, "Timeout", {}, False),
        (2, ALL, 0, "Error", {"retryable": False}, False),
        (2, ALL, 0, "Error", {"retryable": False, "retryAfterSeconds": 5}, False),
        (2, NONE, 0, "Error", {"retryable": True}, True),
        (2, NONE, 0, "Error", {"retryAfterSeconds": 0}, True),
        (2, NONE, 2, "Error", {"retryable": True}, False),
        (0, ALL, 0, "Error", {"retryable": True, "retryAfterSeconds": 5}, False),
    ],
)
def test_there_is_another_attempt_within_the_limit_if_policy_or_task_request_one(
    limit: int, on: tuple[str, ...], attempts: int, cause: str, says: dict[str, Any], allowed: bool
) -> None:
    policy = RetryPolicy(limit=limit, on=on)

    assert retry_policy.is_allowed(policy, attempts, cause, error(**says)) is allowed


@pytest.mark.parametrize(
    ("limit", "on", "attempts", "final"),
    [
        (0, ALL, 0, True),
        (1, ALL, 0, False),
        (1, ALL, 1, True),
        (1, ("PodFailure",), 0, True),
        (1, ("Error",), 0, False),
    ],
)
def test_an_error_is_final_if_no_attempt_is_left_or_errors_are_not_retried(
    limit: int, on: tuple[str, ...], attempts: int, final: bool
) -> None:
    assert retry_policy.is_final(RetryPolicy(limit=limit, on=on), attempts) is final


@pytest.mark.parametrize(
    ("attempts", "says", "seconds"),
    [
        (0, {}, 10),
        (2, {}, 40),
        (9, {}, 60),
        (2, {"retryable": True}, 40),
        (2, {"retryAfterSeconds": 300}, 300),
        (2, {"retryAfterSeconds": 0}, 0),
    ],
)
def test_the_pause_is_that_of_the_task_or_of_the_policy(attempts: int, says: dict[str, Any], seconds: float) -> None:
    assert retry_policy.pause_seconds(RetryPolicy(max_seconds=60), attempts, error(**says)) == seconds
