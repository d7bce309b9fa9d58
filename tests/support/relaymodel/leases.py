"""The Lease of the operators, and the policy that compares the deadline of a pod with the API server's clock.

A model of the worst case: every replica acts as if it were the leader, because each may have been stopped between
its check and its request. Only one of them renews the Lease."""

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
    """

    def __init__(self, clock: Callable[[], datetime], began: datetime | None = None) -> None:
        self.creations = Creations(lambda: clock().timestamp())
        self._clock = clock
        self._lost_at: datetime | None = None
        self.acquire(began)

    def acquire(self, began: datetime | None = None) -> None:
        """Begin a term; by default now."""
        self.creations.begin_term(Term(began or self._clock(), DURATION.total_seconds()))
        self._lost_at = None

    def lose(self, *, is_released: bool) -> None:
        """Another replica has the Lease now: it has expired, or was released before that."""
        if self._lost_at is None:
            self._lost_at = self._clock() if is_released else self._clock() - DURATION

    def require(self) -> None:
        """Always passes: the replica is stopped right after this check."""

    def good_until(self) -> datetime:
        """Return until when the API server may create pods for this replica."""
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
