"""The process of a container on this computer: the runner with another API server and another clock.

python -m podrelay.local.container MODULE:CLASS
"""

import os
import signal
import threading
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from podrelay.local.unix import SOCKET_FILE, UnixConnection
from podrelay.runner import main as runner
from podrelay.runner.api_client import REQUEST_TIMEOUT_SECONDS, ApiClient

_FIRST_TO_END: Final = "1000"
ENV_FOLDER: Final = "PODRELAY_LOCAL_FOLDER"
"""Directory with socket and token of the API server."""
ENV_AHEAD: Final = "PODRELAY_LOCAL_AHEAD_SECONDS"
"""How far the world's time is ahead of this computer's, because waits were skipped."""
ENV_LIFELINE: Final = "PODRELAY_LOCAL_LIFELINE"
"""File descriptor that is closed when the process that simulates the cluster ends."""


def run(reference: str, started_at: float) -> int:
    """Run one iteration and return its exit code."""
    folder, ahead = Path(os.environ[ENV_FOLDER]), timedelta(seconds=float(os.environ[ENV_AHEAD]))

    def now() -> str:
        return (datetime.now(UTC) + ahead).isoformat(timespec="microseconds").replace("+00:00", "Z")

    def connect() -> UnixConnection:
        return UnixConnection(folder / SOCKET_FILE, REQUEST_TIMEOUT_SECONDS)

    client = ApiClient("localhost", 0, folder, connect=connect)
    return runner.run(reference, os.environ, started_at, time.monotonic, client, now=now, after_task=runner.look_around)


def _end_with_the_world(lifeline: int) -> None:
    os.read(lifeline, 1)  # nothing is ever written: it returns when the other end is closed
    os.killpg(0, signal.SIGKILL)


def _be_the_first_to_run_out_of_memory() -> None:
    """Let the kernel end this process before others, as kubelets do for pods without a memory request."""
    with suppress(OSError):  # there is no /proc
        Path("/proc/self/oom_score_adj").write_text(_FIRST_TO_END, encoding="ascii")


if __name__ == "__main__":
    _be_the_first_to_run_out_of_memory()
    lifeline = (int(os.environ[ENV_LIFELINE]),)
    threading.Thread(target=_end_with_the_world, args=lifeline, name="podrelay-lifeline", daemon=True).start()
    runner.main(run)
