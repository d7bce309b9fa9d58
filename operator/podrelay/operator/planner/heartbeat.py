"""Decides when a running pod without a heartbeat counts as stalled. Pure functions.

Timestamps from a node use the node's clock, which may be wrong by more than the timeout. As with a Lease, only the
time at which this operator saw the heartbeat change counts; after a restart of the operator, the timeout starts again.
"""

from datetime import datetime, timedelta
from typing import Final

from podrelay.operator.pods import Pod
from podrelay.operator.view import Heartbeat

ENDING_REASON: Final = "HeartbeatTimeout"
"""Annotation value of a pod that is ended because it sent no heartbeat, and the code of the resulting error."""


def deadline(pod: Pod, last: Heartbeat | None, start_seen: datetime) -> datetime | None:
    """Return until when the next heartbeat must arrive, or None if there is no heartbeat timeout.

    Args:
        pod: the running pod.
        last: the last heartbeat that was seen, of this or another pod.
        start_seen: when its container was first seen running, by this operator's clock.
    """
    seconds = pod.metadata.annotations.heartbeat_timeout
    if seconds is None:
        return None
    is_own = last is not None and last.record == pod.metadata.name
    seen_at = last.seen_at if is_own and last is not None else start_seen
    return max(start_seen, seen_at) + timedelta(seconds=int(seconds))
