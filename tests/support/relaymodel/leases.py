"""The Lease of the operators, and the policy that compares the deadline of a pod with the API server's clock.

With deadlines, a replica that has lost the Lease only completes the requests that it has begun, at any later time.
Without them, because the clock is not trusted, the model is of the worst case: every replica acts as the leader."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from podrelay.api import names
from podrelay.kube.errors import InvalidError
from podrelay.operator.cache.creations import Creations, Term
from podrelay.operator.leader_election import DEFAULT_DURATION_SECONDS, MARGIN_SHARE

DURATION = timedelta(seconds=DEFAULT_DURATION_SECONDS)
MARGIN = DURATION * MARGIN_SHARE


class ReplicaLease:
    """The Lease, as one replica knows it.

    Args:
        clock: the API server's.
        began: when this replica acquired it; by default now.
        has_deadlines: whether the API server's clock is trusted.
    """

    def __init__(
        self, clock: Callable[[], datetime], began: datetime | None = None, *, has_deadlines: bool = False
    ) -> None:
        self.creations = Creations(lambda: clock().timestamp())
        self._clock = clock
        self._has_deadlines = has_deadlines
        self._lost_at: datetime | None = None
        self.acquire(began)

    def acquire(self, began: datetime | None = None) -> None:
        """Begin a term; by default now."""
        self.creations.begin_term(Term(began or self._clock(), DURATION.total_seconds()))
        self._lost_at = None

    @property
    def is_stopped(self) -> bool:
        """Whether this replica begins nothing more, because it has noticed that it is not the leader."""
        return self._has_deadlines and self._lost_at is not None

    def lose(self, *, is_released: bool) -> None:
        """Another replica has the Lease now: it has expired, or was released before that."""
        if self._lost_at is None:
            self._lost_at = self._clock() if is_released else self._clock() - DURATION

    def require(self) -> None:
        """Always passes: the replica is stopped right after this check."""

    def good_until(self) -> datetime | None:
        """Return until when the API server may create pods for this replica."""
        if not self._has_deadlines:
            return None
        return (self._lost_at or self._clock()) + DURATION - MARGIN


def check_deadline(pod: dict[str, Any], stamp: datetime) -> None:
    """Refuse a pod as the policy `podrelay-fence` does.

    Args:
        pod: the pod.
        stamp: its creationTimestamp.

    Raises:
        InvalidError: it comes too late.
    """
    deadline = pod["metadata"]["annotations"].get(names.ANNOTATION_GOOD_UNTIL)
    if deadline is not None and stamp.replace(microsecond=0) > datetime.fromisoformat(deadline):
        name = pod["metadata"]["name"]
        raise InvalidError(422, "Invalid", f"{names.FENCE_POLICY} denied pod {name}: its deadline has passed")
