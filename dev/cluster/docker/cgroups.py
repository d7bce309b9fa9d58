"""The control groups of everything that the private Docker daemon starts.

They show which processes belong to a checkout, even long after the daemon has ended. cgroup v2 has one tree of groups;
cgroup v1 has one for each controller.
"""

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

MOUNTS = Path("/proc/self/mounts")


def trees(mounts: str) -> list[Path]:
    """Return the mount points of the trees, from the text of /proc/self/mounts."""
    rows = [line.split() for line in mounts.splitlines()]
    return [Path(row[1]) for row in rows if row[2] in {"cgroup", "cgroup2"}]


def remove(name: str, patience: float = 10) -> None:
    """Kill every process in the groups with this name, then remove the groups."""
    deadline = time.monotonic() + patience
    while left := [tree / name for tree in trees(MOUNTS.read_text()) if (tree / name).exists()]:
        for group in left:
            _thaw(group)
            for pid in _members(group):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            for folder in _bottom_up(group):
                with contextlib.suppress(OSError):  # busy until all of its processes have ended
                    folder.rmdir()
        if time.monotonic() > deadline:
            return
        time.sleep(0.02)


def _bottom_up(group: Path) -> Iterator[Path]:
    for folder, _, _ in os.walk(group, topdown=False):
        yield Path(folder)


def _members(group: Path) -> set[int]:
    found: set[int] = set()
    for folder in _bottom_up(group):
        with contextlib.suppress(OSError):
            found.update(int(line) for line in (folder / "cgroup.procs").read_text().split())
    return found - {0, os.getpid()}


def _thaw(group: Path) -> None:
    """Thaw a group: a frozen process (`docker pause`) cannot be killed."""
    for folder in _bottom_up(group):
        for file, value in (("freezer.state", "THAWED"), ("cgroup.freeze", "0")):
            with contextlib.suppress(OSError):
                if (folder / file).exists():
                    (folder / file).write_text(value)
