"""Stores progress and logs in the background: soon, together, and not too often.

A record with much in it is written less often, so that no task can burden the API server with more than 8 KiB/s.
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


class Flusher:
    """Writes the record when there is news.

    Args:
        record: what is to be written.
        clock: seconds.
    """

    def __init__(self, record: Record, clock: Callable[[], float] = time.monotonic) -> None:
        self._record = record
        self._clock = clock
        self._news = threading.Event()
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def wake(self) -> None:
        """There is news. The thread starts with the first: most tasks that are short never need it."""
        self._news.set()
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="podrelay-flusher", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Write nothing any more; what is not stored yet goes along with the answer."""
        self._stopped.set()
        self._news.set()

    def step(self) -> float | None:
        """Write once; return the seconds to wait before the next time, None if there is none."""
        started_at = self._clock()
        try:
            self._record.flush(lambda: started_at + FLUSH_SECONDS)
        except ApiUnreachableError:
            self._news.set()  # the next write takes it along
        except (ApiRefusedError, SupersededError) as error:
            print(f"podrelay-runner: progress and logs are not stored any more: {error}", file=sys.stderr, flush=True)
            return None
        return max(FLUSH_SECONDS, self._record.size / FLUSH_BYTES_PER_SECOND)

    def _run(self) -> None:
        while True:
            self._news.wait()
            self._news.clear()
            if self._stopped.is_set():
                return
            pause = self.step()
            if pause is None or self._stopped.wait(pause):
                return
