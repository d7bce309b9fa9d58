"""Stores progress, logs and heartbeats in the background: soon, in one write, and not too often.

A large record is written less often, so that no task writes more than 8 KiB/s to the API server; but always often
enough for its heartbeat timeout.
"""

import sys
import threading
import time
from collections.abc import Callable
from typing import Final

from podrelay.api import limits
from podrelay.runner.record import Record
from podrelay.sdk.errors import ApiRefusedError, ApiUnreachableError, SupersededError

FLUSH_SECONDS: Final = 2.0
FLUSH_BYTES_PER_SECOND: Final = 8 * limits.KIB
BEATS_PER_TIMEOUT: Final = 3
"""How often a heartbeat is stored within the heartbeat timeout."""


class Flusher:
    """Writes the record when there is something new to store.

    Args:
        record: the record to write.
        clock: seconds.
        heartbeat_timeout: seconds without a heartbeat after which the iteration is ended; None: no limit.
    """

    def __init__(
        self, record: Record, clock: Callable[[], float] = time.monotonic, heartbeat_timeout: float | None = None
    ) -> None:
        self._record = record
        self._clock = clock
        self._beat_seconds = (
            None if heartbeat_timeout is None else max(FLUSH_SECONDS, heartbeat_timeout / BEATS_PER_TIMEOUT)
        )
        self._written_at: float | None = None
        self._news = threading.Event()
        self._hurry = threading.Event()
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def wake(self) -> None:
        """Request a write. The first call starts the thread, because most short tasks never need it."""
        self._hurry.set()
        self._notify()

    def beat(self) -> None:
        """Request a write for a heartbeat only, which is less urgent."""
        self._notify()

    def stop(self) -> None:
        """Stop writing; what is not stored yet is stored together with the answer."""
        self._stopped.set()
        self._hurry.set()
        self._news.set()

    def patience(self) -> float:
        """Return for how many seconds a heartbeat may wait to be stored together with other data."""
        if self._written_at is None or self._beat_seconds is None:
            return 0.0
        return max(0.0, self._written_at + self._beat_seconds - self._clock())

    def step(self) -> float | None:
        """Write once; return the seconds to wait before the next write, or None if there must be no further write."""
        started_at = self._clock()
        try:
            self._record.flush(lambda: started_at + FLUSH_SECONDS)
            self._written_at = started_at
        except ApiUnreachableError:
            self._hurry.set()
            self._news.set()  # the next write includes it
            return FLUSH_SECONDS  # nothing was written, so the write rate does not require a longer pause
        except (ApiRefusedError, SupersededError) as error:
            print(f"podrelay-runner: progress and logs are no longer stored: {error}", file=sys.stderr, flush=True)
            return None
        pause = max(FLUSH_SECONDS, self._record.size / FLUSH_BYTES_PER_SECOND)
        return pause if self._beat_seconds is None else min(pause, self._beat_seconds)

    def _notify(self) -> None:
        self._news.set()
        if self._thread is None and not self._stopped.is_set():
            self._thread = threading.Thread(target=self._run, name="podrelay-flusher", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        while True:
            self._news.wait()
            self._hurry.wait(self.patience())
            self._news.clear()
            self._hurry.clear()
            if self._stopped.is_set():
                return
            pause = self.step()
            if pause is None or self._stopped.wait(pause):
                return
