"""Every program of every node watches files. Linux lets a user have 128 watchers, too few for two clusters of 3 nodes.

The kubelet and kube-proxy then end with "too many open files", which looks like anything but that.
"""

from pathlib import Path
from typing import Final

from cluster.steps import say

LIMIT: Final = Path("/proc/sys/fs/inotify/max_user_instances")
ENOUGH: Final = 1024


def allow_enough(limit: Path = LIMIT) -> None:
    """Raise the limit where we may, and say so. It is the machine's, and lasts until that starts anew."""
    try:
        before = int(limit.read_text())
        if before >= ENOUGH:
            return
        limit.write_text(str(ENOUGH))
    except OSError:
        return  # not ours to raise; it may do
    say(f"raise fs.inotify.max_user_instances from {before} to {ENOUGH}, until the machine starts anew")
