"""Folders of processes that were killed, and the containers that they have left behind.

A container ends with its `podrelay dev`, as it notices the end of a pipe. One that is busy in C code may not, and what
a task has started in a session of its own does not. The next start finds both by the folder in their environment.
"""

import fcntl
import os
import shutil
import signal
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Final, TextIO

from podrelay.local.container import ENV_FOLDER
from podrelay.local.processes import processes_with

_PREFIX: Final = "podrelay-dev-"
_LOCK: Final = "lock"


class Folder:
    """A folder that exists as long as this process."""

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix=_PREFIX))
        self._lock: TextIO = (self.path / _LOCK).open("w", encoding="utf-8")
        fcntl.flock(self._lock.fileno(), fcntl.LOCK_EX)

    def close(self) -> None:
        """Remove the folder, and end what is left of its containers."""
        _remove(self.path)
        self._lock.close()


def remove() -> int:
    """Remove the folders of dead processes, and end what is left of their containers; return their number."""
    count = 0
    for path in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with suppress(OSError):
            if path.stat().st_uid == os.getuid() and _is_left(path):
                count += _remove(path)
    return count


def _is_left(path: Path) -> bool:
    try:
        with (path / _LOCK).open("r+", encoding="utf-8") as lock:
            fcntl.flock(lock.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
    except (BlockingIOError, FileNotFoundError):  # in use, or just being made
        return False


def _remove(path: Path) -> int:
    processes = list(processes_with(f"{ENV_FOLDER}={path}"))
    for pid in processes:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)
    shutil.rmtree(path, ignore_errors=True)
    return len(processes)
