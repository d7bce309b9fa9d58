"""When a pod that works without a heartbeat is taken for stalled. Pure functions.

The times that a node writes are by the node's clock, which may be wrong by more than the timeout. So what counts is
when this operator saw a heartbeat change, as with a Lease: after a restart of the operator the time begins anew.
"""

from datetime import datetime, timedelta
from typing import Final

from podrelay.operator.pods import Pod
from podrelay.operator.view import Heartbeat

ENDING_REASON: Final = "HeartbeatTimeout"
"""What is noted on a pod that is ended because it sent no heartbeat, and the code of the error that comes of it."""


def deadline(pod: Pod, last: Heartbeat | None, start_seen: datetime) -> datetime | None:
    """Return until when a heartbeat has to come, or None if none is asked for.

    Args:
        pod: the pod that works.
        last: the last heartbeat that was seen, of this or another pod.
        start_seen: when its container was first seen running, by this operator's clock.
    """
    seconds = pod.metadata.annotations.heartbeat_timeout
    if seconds is None:
        return None
    is_own = last is not None and last.record == pod.metadata.name
    seen_at = last.seen_at if is_own and last is not None else start_seen
    return max(start_seen, seen_at) + timedelta(seconds=int(seconds))
