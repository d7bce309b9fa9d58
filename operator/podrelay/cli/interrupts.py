"""Ctrl-C and SIGTERM for `podrelay run`: the first signal aborts the run, the second one kills it.

The handlers only queue an action, which a thread carries out. So it does not matter which code a signal interrupts.
"""

import queue
import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any


class Interrupts:
    """A context in which the two signals abort and kill.

    Args:
        abort: called in a separate thread after the first signal.
        kill: called in that thread after each further signal.
        stop: called in the main thread, by the handler of each further signal; may raise.
    """

    def __init__(self, abort: Callable[[], None], kill: Callable[[], None], stop: Callable[[], None]) -> None:
        self._abort = abort
        self._kill = kill
        self._stop = stop
        self._count = 0
        self._actions: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._before: dict[int, Any] = {}

    def __enter__(self) -> None:
        threading.Thread(target=self._work, name="podrelay-interrupts", daemon=True).start()
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._handle)

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._actions.put(None)

    def _handle(self, _number: int, _frame: FrameType | None) -> None:
        self._count += 1
        self._actions.put(self._abort if self._count == 1 else self._kill)
        if self._count > 1:
            self._stop()

    def _work(self) -> None:
        while (action := self._actions.get()) is not None:
            action()
