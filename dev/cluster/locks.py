"""Locks between processes: two builds, or two `up` commands of one checkout, run one after the other.

They are flock(2) locks: the kernel releases a lock when its holder ends, so no lock is ever stale.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dev.cluster.steps import step


@contextmanager
def lock(path: Path, what: str) -> Iterator[None]:
    """Hold the lock during the block; while another process holds it, report a wait for `what`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            with step(f"waiting for {what}"):
                fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
