"""Raise the limit of inotify instances: Linux allows 128 per user, too few for two clusters of three nodes.

All programs on the nodes watch files. At the limit, the kubelet and kube-proxy end with "too many open files", which
does not point to the cause.
"""

from pathlib import Path
from typing import Final

from dev.cluster.steps import say

LIMIT: Final = Path("/proc/sys/fs/inotify/max_user_instances")
ENOUGH: Final = 1024


def allow_enough(limit: Path = LIMIT) -> None:
    """Raise the limit if permitted, and report it. It applies to the whole machine until the next reboot."""
    try:
        before = int(limit.read_text())
        if before >= ENOUGH:
            return
        limit.write_text(str(ENOUGH))
    except OSError:
        return  # no permission; the limit may still suffice
    say(f"raise fs.inotify.max_user_instances from {before} to {ENOUGH}, until the next reboot")
