"""Decides whether and when a failed attempt is repeated. Pure functions over a retry policy and an answer."""

from podrelay.operator.objects.answers import Response
from podrelay.operator.objects.definitions import RetryPolicy
from podrelay.operator.planner import failures


def is_final(policy: RetryPolicy, attempts: int) -> bool:
    """Return whether an error that does not mention retries is final, after `attempts` earlier failed attempts."""
    return attempts >= policy.limit or failures.ERROR not in policy.on


def is_allowed(policy: RetryPolicy, attempts: int, cause: str, response: Response) -> bool:
    """Return whether there is another attempt, after `attempts` failed ones before this one.

    Args:
        policy: `spec.retry` of the definition.
        attempts: failed attempts of the iteration before this one.
        cause: Error, PodFailure or Timeout.
        response: the answer error; its own settings for retries take precedence over `on` of the policy.
    """
    if is_ruled_out(response) or attempts >= policy.limit:
        return False
    return cause in policy.on or bool(response.retryable) or response.retry_after_seconds is not None


def is_ruled_out(response: Response) -> bool:
    """Return whether the task itself rules out another attempt."""
    return response.retryable is False


def pause_seconds(policy: RetryPolicy, attempts: int, response: Response) -> float:
    """Return the seconds between the end of a failed attempt and the next one."""
    if response.retry_after_seconds is not None:
        return response.retry_after_seconds
    return min(policy.initial_seconds * policy.factor**attempts, policy.max_seconds)
