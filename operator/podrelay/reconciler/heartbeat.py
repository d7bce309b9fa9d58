"""When a pod that works without a sign of life is taken for stalled. Pure functions."""

from datetime import datetime, timedelta
from typing import Final

from podrelay.reconciler.objects import Pod, Record

ENDING_REASON: Final = "HeartbeatTimeout"
"""What is noted on a pod that is ended for its silence, and the code of the error that comes of it."""


def deadline(pod: Pod, record: Record | None, started_at: datetime) -> datetime | None:
    """Return until when a sign of life has to come, or None if none is asked for.

    Args:
        pod: the pod that works.
        record: its record, if it has one by now.
        started_at: when its container has started.
    """
    seconds = pod.metadata.annotations.heartbeat_timeout
    if seconds is None:
        return None
    last = record.heartbeat_at if record is not None else None
    return max(started_at, last or started_at) + timedelta(seconds=int(seconds))
