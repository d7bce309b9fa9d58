"""Finds threads of a task that are still running after run(): they are killed when the process ends."""

import sys
import threading
from pathlib import Path
from types import FrameType
from typing import Final

OUR_PREFIX: Final = "podrelay-"
"""The names of the threads of the runner begin with this."""


def still_running() -> list[str]:
    """Return the names of the task's threads that are still running, with their current location.

    Daemon threads are left out, because they may be killed at exit; so are idle workers of a ThreadPoolExecutor.
    """
    frames = sys._current_frames()
    found = []
    for thread in threading.enumerate():
        frame = frames.get(thread.ident or 0)
        if frame is None or thread is threading.main_thread() or thread.daemon or thread.name.startswith(OUR_PREFIX):
            continue
        if not _is_idle(frame):
            code = frame.f_code
            found.append(f"{thread.name} (at {code.co_name} in {Path(code.co_filename).name}:{frame.f_lineno})")
    return found


def _is_idle(frame: FrameType) -> bool:
    """Whether a thread waits for work: the worker function itself is at the top only while it waits in a C function."""
    return frame.f_code.co_name == "_worker" and Path(frame.f_code.co_filename).match("concurrent/futures/thread.py")
