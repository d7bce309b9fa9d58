"""Finds out whether anything of the task still runs in this container after run() has returned.

Only what the kernel reports counts: a library may start threads that Python does not know, and a process that the task
started may outlive its parent. The answer is negative whenever that cannot be known.
"""

import os
import signal
import threading
import time
from pathlib import Path
from typing import Final

from podrelay.runner import threads

_OUR_MODULES: Final = "podrelay.runner."
_PROC: Final = Path("/proc")
_ENDED: Final = frozenset({"Z", "X"})
_LOOKS: Final = 5
_PAUSE_SECONDS: Final = 0.002
"""A thread that was joined may take a moment until the kernel has removed it."""
_TIMERS: Final = (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF)


def nothing_else_runs(proc: Path = _PROC) -> bool:
    """Return whether, apart from the runner, nothing runs in this container, and no signal would start anything.

    Processes can be known only if this one is the first of its own PID namespace, as in a container: otherwise, others
    could be hidden, or belong to the node.
    """
    try:
        return os.getpid() == 1 and _is_alone(proc) and _has_own_threads_only(proc) and not _reacts_to_signals()
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
    is_own = all(thread is threading.main_thread() or thread.name.startswith(threads.OUR_PREFIX) for thread in known)
    if not is_own:
        return False
    for _ in range(_LOOKS):
        if len(list((proc / "1" / "task").iterdir())) == len(known):
            return True
        time.sleep(_PAUSE_SECONDS)
    return False


def _reacts_to_signals() -> bool:
    """Return whether the task has set a timer, or a function of its own is called at a signal, such as SIGTERM."""
    handlers = (signal.getsignal(number) for number in signal.valid_signals())
    has_handler = any(callable(handler) and not _is_own(handler) for handler in handlers)
    return has_handler or any(any(signal.getitimer(which)) for which in _TIMERS)


def _is_own(handler: object) -> bool:
    if isinstance(handler, signal.Handlers) or handler is signal.default_int_handler:
        return True
    return str(getattr(handler, "__module__", "")).startswith(_OUR_MODULES)
