"""Which pods of a run may be created by requests other than the next one of this process.

Each request that creates a pod carries a deadline, by the API server's clock, until which no other replica can become
the leader (`LeaderElection.good_until`). So a run that was created after the beginning of this term has no pod of
another leader, and never gets one. For an older run that is certain a while later, and what is known about it is proven
by the first status that this process writes, because a write for an old version fails.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from podrelay.kube.api import WRITE_TIMEOUT_SECONDS
from podrelay.operator.clocks import boot_clock
from podrelay.operator.objects.runs import TaskRun

REQUEST_LEASES: Final = 7 / 3
"""The API server may work on a request that creates a pod for so many Lease durations, 35 s of 15, but not longer than
WRITE_TIMEOUT_SECONDS. Its deadline is compared before validating webhooks are called, so it may take effect later."""
RESERVE_LEASES: Final = 2 / 3
"""Then it may take so many Lease durations more, 10 s of 15, for the write to etcd."""
CLOCKS_DIFFER: Final = timedelta(seconds=2)
"""By which the clocks of several API servers may differ."""


@dataclass(frozen=True, slots=True)
class Term:
    """A leadership term.

    Attributes:
        began: the latest time that the API server's clock can have shown at its beginning; None if that is unknown.
        lease_seconds: until then, requests of the former leader may be within their deadline.
    """

    began: datetime | None
    lease_seconds: float

    @property
    def request_seconds(self) -> float:
        """How long the API server may work on a request that creates a pod."""
        return min(WRITE_TIMEOUT_SECONDS, self.lease_seconds * REQUEST_LEASES)

    @property
    def settles_after(self) -> float:
        """After so many seconds, requests of the former leader, and those that were sent now, no longer take effect."""
        return self.lease_seconds + self.request_seconds + self.lease_seconds * RESERVE_LEASES


@dataclass(slots=True)
class Creations:
    """What may still create pods.

    Args:
        clock: monotonic seconds.
    """

    clock: Callable[[], float] = boot_clock
    _term: Term | None = None
    _settled_at: float = 0.0
    _proven: set[str] = field(default_factory=set)
    _unanswered: dict[str, float] = field(default_factory=dict)

    @property
    def request_seconds(self) -> float | None:
        """How long the API server may work on a request that creates a pod; None: as long as it likes."""
        return self._term.request_seconds if self._term is not None else None

    def begin_term(self, term: Term) -> None:
        """Forget what was certain in an earlier term."""
        self._term = term
        self._settled_at = self._lands_by()
        self._proven.clear()
        self._unanswered.clear()

    def status_written(self, run: TaskRun) -> None:
        """Note that the API server has accepted a status for the known version of a run."""
        if self._term is not None and not self._is_younger(run):
            self._proven.add(run.metadata.uid)

    def unanswered(self, run: TaskRun) -> None:
        """Note that a request to create a pod of a run got no response, so it may still take effect."""
        if self._term is not None:
            self._unanswered[run.metadata.uid] = self._lands_by()

    def forget(self, uid: str) -> None:
        """Forget a run that no longer exists."""
        self._proven.discard(uid)
        self._unanswered.pop(uid, None)

    def are_alone(self, run: TaskRun) -> bool:
        """Return whether only the next request of this process can create a pod of a run."""
        if self._term is None or self._seconds_left(run) > 0:
            return False
        return self._is_younger(run) or run.metadata.uid in self._proven

    def late_until(self, run: TaskRun, now: datetime) -> datetime | None:
        """Return until when an earlier request may create a pod of a run, by the clock of `now`; None if none can."""
        left = self._seconds_left(run)
        return now + timedelta(seconds=left) if left > 0 else None

    def _seconds_left(self, run: TaskRun) -> float:
        if self._term is None:
            return 0.0
        at = self._unanswered.get(run.metadata.uid, 0.0)
        if not self._is_younger(run):
            at = max(at, self._settled_at)
        return at - self.clock()

    def _is_younger(self, run: TaskRun) -> bool:
        began = self._term.began if self._term is not None else None
        return began is not None and run.metadata.creation_timestamp >= began + CLOCKS_DIFFER

    def _lands_by(self) -> float:
        assert self._term is not None  # noqa: S101 - checked by the callers
        return self.clock() + self._term.settles_after
