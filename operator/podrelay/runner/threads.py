"""Finds threads of a task that outlive its run(): they end with the process, whatever they are at."""

import sys
import threading
from pathlib import Path
from types import FrameType
from typing import Final

_OUR_PREFIX: Final = "podrelay-"


def at_work() -> list[str]:
    """Return which threads of the task work still, and where they are.

    Daemon threads are left out: who makes one says that it need not come to its end. So are the workers of a
    ThreadPoolExecutor that wait for something to do.
    """
    frames = sys._current_frames()
    found = []
    for thread in threading.enumerate():
        frame = frames.get(thread.ident or 0)
        if frame is None or thread is threading.main_thread() or thread.daemon or thread.name.startswith(_OUR_PREFIX):
            continue
        if not _is_idle(frame):
            code = frame.f_code
            found.append(f"{thread.name} (at {code.co_name} in {Path(code.co_filename).name}:{frame.f_lineno})")
    return found


def _is_idle(frame: FrameType) -> bool:
    """Whether a thread waits for work: it is inside of a C function that this one calls for that alone."""
    return frame.f_code.co_name == "_worker" and Path(frame.f_code.co_filename).match("concurrent/futures/thread.py")
