"""Stores progress, logs and signs of life in the background: soon, together, and not too often.

A record with much in it is written less often, so that no task can burden the API server with more than 8 KiB/s; but
never so seldom that its task would be taken for stalled.
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
"""How often a sign of life is stored in the time without one that the operator takes for a stall."""


class Flusher:
    """Writes the record when there is news.

    Args:
        record: what is to be written.
        clock: seconds.
        heartbeat_timeout: seconds without a sign of life after which the iteration is ended; None: it never is.
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
        """There is news. The thread starts with the first: most tasks that are short never need it."""
        self._hurry.set()
        self._tell()

    def beat(self) -> None:
        """There is nothing but a sign of life, which has more time."""
        self._tell()

    def stop(self) -> None:
        """Write nothing any more; what is not stored yet goes along with the answer."""
        self._stopped.set()
        self._hurry.set()
        self._news.set()

    def patience(self) -> float:
        """Return the seconds that a sign of life alone may wait for other news to go along with."""
        if self._written_at is None or self._beat_seconds is None:
            return 0.0
        return max(0.0, self._written_at + self._beat_seconds - self._clock())

    def step(self) -> float | None:
        """Write once; return the seconds to wait before the next time, None if there is none."""
        started_at = self._clock()
        try:
            self._record.flush(lambda: started_at + FLUSH_SECONDS)
            self._written_at = started_at
        except ApiUnreachableError:
            self._hurry.set()
            self._news.set()  # the next write takes it along
            return FLUSH_SECONDS  # nothing was written, so there is nothing to make up for
        except (ApiRefusedError, SupersededError) as error:
            print(f"podrelay-runner: progress and logs are not stored any more: {error}", file=sys.stderr, flush=True)
            return None
        pause = max(FLUSH_SECONDS, self._record.size / FLUSH_BYTES_PER_SECOND)
        return pause if self._beat_seconds is None else min(pause, self._beat_seconds)

    def _tell(self) -> None:
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
