"""Whether and when a failed try is repeated. Pure functions over the policy of a definition and an answer."""

from podrelay.operator.objects import Response, RetryPolicy
from podrelay.operator.planner import failures


def is_final(policy: RetryPolicy, attempts: int) -> bool:
    """Tell whether an error without a word about retries is the end, after `attempts` failed tries before it."""
    return attempts >= policy.limit or failures.ERROR not in policy.on


def is_allowed(policy: RetryPolicy, attempts: int, cause: str, response: Response) -> bool:
    """Tell whether there is another try, after `attempts` failed ones before this one.

    Args:
        policy: `spec.retry` of the definition.
        attempts: failed tries of the iteration before this one.
        cause: Error, PodFailure or Timeout.
        response: the answer error; what it says itself about another try comes before `on` of the policy.
    """
    if is_ruled_out(response) or attempts >= policy.limit:
        return False
    return cause in policy.on or bool(response.retryable) or response.retry_after_seconds is not None


def is_ruled_out(response: Response) -> bool:
    """Tell whether the task itself says that another try would be of no use."""
    return response.retryable is False


def pause_seconds(policy: RetryPolicy, attempts: int, response: Response) -> float:
    """Return the seconds between the end of a failed try and the next one."""
    if response.retry_after_seconds is not None:
        return response.retry_after_seconds
    return min(policy.initial_seconds * policy.factor**attempts, policy.max_seconds)
