"""Finds out whether anything of the task still runs in this container after run() has returned.

Only what the kernel reports counts: a library may start threads that Python does not know, and a process that the task
started may outlive its parent. The answer is negative whenever that cannot be known.
"""

import os
import signal
import threading
from pathlib import Path
from typing import Final

_PROC: Final = Path("/proc")
_OUR_PREFIX: Final = "podrelay-"
_ENDED: Final = frozenset({"Z", "X"})
_TIMERS: Final = (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF)


def nothing_else_runs(proc: Path = _PROC) -> bool:
    """Return whether, apart from the runner, no thread and no process of this container runs, and no timer is set.

    Processes can be known only if this one is the first of its own PID namespace, as in a container: otherwise, others
    could be hidden, or belong to the node.
    """
    try:
        return os.getpid() == 1 and _is_alone(proc) and _has_own_threads_only(proc) and not _has_timer()
    except OSError:
        return False


def _is_alone(proc: Path) -> bool:
    others = (entry for entry in proc.iterdir() if entry.name.isdigit() and entry.name != "1")
    return all(_has_ended(entry) for entry in others)


def _has_ended(process: Path) -> bool:
    try:
        stat = (process / "stat").read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return True
    # The name of the program is in parentheses, and may itself contain any characters.
    return stat.rpartition(")")[2].split()[0] in _ENDED


def _has_own_threads_only(proc: Path) -> bool:
    known = threading.enumerate()
    is_own = all(thread is threading.main_thread() or thread.name.startswith(_OUR_PREFIX) for thread in known)
    return is_own and len(list((proc / "1" / "task").iterdir())) == len(known)


def _has_timer() -> bool:
    return any(any(signal.getitimer(which)) for which in _TIMERS)
