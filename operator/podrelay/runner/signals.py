"""Finds out what SIGTERM means: the run is aborted, or only this pod ends.

The signal handler only sets an event; a thread that waits for it then reads the TaskRun once. Callers that ask in the
meantime wait for the result, so that an aborted task is never treated as a drained one.
"""

import signal
import threading
import time
from collections.abc import Callable
from typing import Any, Final

from podrelay.api.phases import FINISHED

QUESTION_SECONDS: Final = 3.0


class Interruption:
    """The meaning of a SIGTERM for this pod.

    Args:
        ask: returns the current TaskRun, or None if it was deleted; may raise; called in a separate thread.
        run_uid: UID of the run that this pod belongs to.
        grace_period: seconds from SIGTERM to SIGKILL.
        clock: seconds.
    """

    def __init__(
        self,
        ask: Callable[[], dict[str, Any] | None],
        run_uid: str,
        grace_period: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ask = ask
        self._run_uid = run_uid
        self._grace_period = grace_period
        self._clock = clock
        self._signalled = threading.Event()
        self._answered = threading.Event()
        self._is_abort = False
        self._message: str | None = None
        self.asked_at: float | None = None
        """When the signal arrived, as a time of the clock; None if there was none."""

    def install(self) -> None:
        """Install handlers for SIGTERM and SIGINT; must be called in the main thread."""
        self.watch()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda _number, _frame: self.begin())

    def watch(self) -> None:
        """Start the thread that finds out what a signal means.

        It is started in advance: starting a thread in a handler could wait for a lock that the interrupted code holds.
        """
        threading.Thread(target=self._find_out, name="podrelay-interruption", daemon=True).start()

    def begin(self) -> None:
        """Handle the signal; a second signal has no effect."""
        if self.asked_at is None:
            self.asked_at = self._clock()
            self._signalled.set()

    def interrupt(self) -> None:
        """Handle an interruption outside of a signal handler; return when its meaning is known. Needs no `watch`."""
        if self.asked_at is None:
            self.begin()
            self._find_out()

    def _find_out(self) -> None:
        self._signalled.wait()
        try:
            self._understand(self._ask())
        except Exception:  # noqa: BLE001 - the pod ends in any case: hand over if possible
            self._is_abort = False
        finally:
            self._answered.set()

    def _understand(self, run: dict[str, Any] | None) -> None:
        if run is None or run["metadata"]["uid"] != self._run_uid:
            self._is_abort, self._message = True, "the TaskRun was deleted"
            return
        abort = run["spec"].get("abort")
        is_finished = (run.get("status") or {}).get("phase") in FINISHED
        self._is_abort, self._message = abort is not None or is_finished, (abort or {}).get("message")

    @property
    def is_abort(self) -> bool:
        """Whether the run is being aborted."""
        return self._has_begun() and self._is_abort

    @property
    def is_stop(self) -> bool:
        """Whether only this pod ends."""
        return self._has_begun() and not self._is_abort

    @property
    def abort_message(self) -> str | None:
        """Why the run is being aborted, if there is a message."""
        return self._message if self.is_abort else None

    def remaining(self) -> float | None:
        """Return the seconds until SIGKILL, or None if there was no signal."""
        return None if self.asked_at is None else max(0.0, self.asked_at + self._grace_period - self._clock())

    def _has_begun(self) -> bool:
        if self.asked_at is None:
            return False
        self._answered.wait(max(0.0, self.asked_at + QUESTION_SECONDS - self._clock()))
        return True
