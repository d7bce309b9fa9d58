"""Locks between processes: two builds, or two `up` of one checkout, wait for each other instead of colliding.

They are flock(2) locks: whoever holds one and dies gives it back, so no lock is ever stale.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cluster.steps import step


@contextmanager
def lock(path: Path, what: str) -> Iterator[None]:
    """Hold the lock for the block; if somebody else holds it, say that we wait for `what`."""
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
