"""The process that checks inputs against schemas, for programs without an event loop. Standard library only.

It is started when it is needed first, and ends by itself when it is not for a while, or when this program ends.
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
_TRIES: Final = 2
"""It may have ended just when it was asked."""


class BlockingChecker:
    """Asks the process; for several threads at once, one after the other."""

    def __init__(self, program: tuple[str, ...] = PROGRAM, idle_seconds: float = _IDLE_SECONDS) -> None:
        self._command = [*program, str(idle_seconds)]
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

    def check(self, schema: dict[str, Any], input: dict[str, Any]) -> dict[str, Any] | None:
        """Return the fields of `input` that do not fit `schema`, by their path; none if it fits.

        None where that cannot be told here: the schema is none, or there is no process to ask. The operator tells it.
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
        """Return the answer; None if the process has ended over the request.

        Raises:
            OSError: there is no process to ask, or it has an error of its own.
        """
        line = json.dumps(request, separators=(",", ":")).encode() + b"\n"
        for _ in range(_TRIES):
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
        raise OSError("the process that checks inputs against schemas ends at once")

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is not None and self._process.poll() is None:
            return self._process
        self._end()
        if not Path(sys.executable).name.startswith("python"):
            raise OSError(f"{sys.executable or 'nothing'} is no Python that could run it")
        # What it says of itself is not for the people who use this program.
        pipe, nothing = subprocess.PIPE, subprocess.DEVNULL
        self._process = subprocess.Popen(self._command, stdin=pipe, stdout=pipe, stderr=nothing, start_new_session=True)
        assert self._process.stdout is not None  # noqa: S101 - a pipe
        if self._process.stdout.readline() != READY:
            raise OSError("the process that checks inputs against schemas cannot be started")
        return self._process

    def _end(self) -> int | None:
        """End the process and return its exit code, or minus the signal that ended it; None if there is none."""
        process, self._process = self._process, None
        if process is None:
            return None
        assert process.stdin is not None  # noqa: S101 - a pipe
        assert process.stdout is not None  # noqa: S101 - a pipe
        with contextlib.suppress(OSError):
            process.stdin.close()  # it ends when there is nobody to ask it any more
        code = process.wait()
        process.stdout.close()
        return code
