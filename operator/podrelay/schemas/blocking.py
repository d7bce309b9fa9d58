"""Client of the process that checks inputs against schemas, for programs without an event loop. Standard library only.

The process is started on first use, and ends when it is idle for a while, or when this program ends.
"""

import contextlib
import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, Final

from podrelay.schemas.protocol import PROGRAM, READY, TOO_COMPLEX, TOO_MUCH

_IDLE_SECONDS: Final = 30.0
_ATTEMPTS: Final = 2
"""The process may end just before a request."""


class BlockingChecker:
    """Sends requests to the process. Thread-safe; requests are sent one after the other."""

    def __init__(self, program: tuple[str, ...] = PROGRAM, idle_seconds: float = _IDLE_SECONDS) -> None:
        self._command = [*program, str(idle_seconds)]
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

    def check(self, schema: dict[str, Any], input: dict[str, Any]) -> dict[str, Any] | None:
        """Return the invalid fields of `input`, by their path; an empty dict if it matches `schema`.

        Return None if this cannot be determined, because the schema is invalid or the process is not available. The
        operator then reports the problem.
        """
        with self._lock:
            try:
                verdict = self._ask({"schema": schema, "input": input})
                if verdict is None:
                    return TOO_COMPLEX if self._ask({"schema": schema}) == {} else None
            except (OSError, ValueError):
                self._end()
                return None
        fields: dict[str, Any] = verdict.get("fields", {})
        return None if "problem" in verdict else fields

    def close(self) -> None:
        """End the process, if there is one."""
        with self._lock:
            self._end()

    def _ask(self, request: dict[str, Any]) -> dict[str, Any] | None:
        """Return the response; None if the process has ended because of the request.

        Raises:
            OSError: the process cannot be started, or has failed.
        """
        line = json.dumps(request, separators=(",", ":")).encode() + b"\n"
        for _ in range(_ATTEMPTS):
            process = self._running()
            assert process.stdin is not None  # noqa: S101 - a pipe
            assert process.stdout is not None  # noqa: S101 - a pipe
            with contextlib.suppress(BrokenPipeError):
                process.stdin.write(line)
                process.stdin.flush()
            answer = process.stdout.readline()
            if answer.endswith(b"\n"):
                verdict: dict[str, Any] = json.loads(answer)
                return verdict
            if self._end() in TOO_MUCH:
                return None
        raise OSError("the process that checks inputs against schemas ends immediately")

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is not None and self._process.poll() is None:
            return self._process
        self._end()
        if not Path(sys.executable).name.startswith("python"):
            raise OSError(f"{sys.executable or 'nothing'} is not a Python interpreter")
        # Its stderr is not of interest to users of this program.
        pipe, nothing = subprocess.PIPE, subprocess.DEVNULL
        self._process = subprocess.Popen(self._command, stdin=pipe, stdout=pipe, stderr=nothing, start_new_session=True)
        assert self._process.stdout is not None  # noqa: S101 - a pipe
        if self._process.stdout.readline() != READY:
            raise OSError("the process that checks inputs against schemas cannot be started")
        return self._process

    def _end(self) -> int | None:
        """End the process; return its exit code, or minus the signal that ended it; None if there is no process."""
        process, self._process = self._process, None
        if process is None:
            return None
        assert process.stdin is not None  # noqa: S101 - a pipe
        assert process.stdout is not None  # noqa: S101 - a pipe
        with contextlib.suppress(OSError):
            process.stdin.close()  # the process ends at the end of its input
        code = process.wait()
        process.stdout.close()
        return code
