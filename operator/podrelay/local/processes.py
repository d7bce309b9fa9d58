"""Containers as processes on this computer: a new interpreter for each iteration, as in a cluster."""

import codecs
import io
import os
import select
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from podrelay.api import names
from podrelay.local.container import ENV_AHEAD, ENV_FOLDER, ENV_LIFELINE
from podrelay.local.kubelet import Container
from podrelay.local.memory_api import MemoryApi, Object
from podrelay.local.server import Server

_LAST_LINES: Final = 80
_PIPE: Final = 65_536
"""The capacity of a pipe on Linux (pipe(7)): one read of this size returns everything that has been printed."""
_LAST_OUTPUT: Final = 2048
"""How much of the log a kubelet uses as the message of a container that wrote none (FallbackToLogsOnError)."""

Print = Callable[[str, str], None]
"""Called with the name of a pod and a line of its output."""


class ProcessRuntime:
    """Starts `python -m podrelay.local.container`, which is the runner.

    Args:
        api: the API server; the processes access it over a socket.
        folder: directory for socket and token; only this user may have access to it.
        references: MODULE:CLASS, by name of the definition.
        ahead: returns how many seconds of waiting were skipped so far.
        show: called for every line of output, in a separate thread for each container.
        ended: called in that thread when a container has ended.
    """

    def __init__(
        self,
        api: MemoryApi,
        folder: Path,
        references: Mapping[str, str],
        ahead: Callable[[], float],
        show: Print,
        ended: Callable[[], None],
    ) -> None:
        self._server = Server(api, folder)
        self._folder = folder
        self._references = references
        self._ahead = ahead
        self._show = show
        self._ended = ended
        # Its writing end closes when this process ends, in any way.
        self._lifeline, self._hold = os.pipe()

    def close(self) -> None:
        """Stop serving; running containers are killed."""
        os.close(self._hold)
        os.close(self._lifeline)
        self._server.close()

    def start(self, pod: Object, variables: dict[str, str], started: Callable[[Container], None]) -> None:
        """Start the container of a pod and return.

        Raises:
            OSError: the container cannot be started.
        """
        environment = {
            **os.environ,
            "PYTHONUNBUFFERED": "1",
            **variables,
            ENV_FOLDER: str(self._folder),
            ENV_AHEAD: str(self._ahead()),
            ENV_LIFELINE: str(self._lifeline),
        }
        reference = self._references[pod["metadata"]["labels"][names.LABEL_DEFINITION]]
        process = subprocess.Popen(
            [sys.executable, "-m", "podrelay.local.container", reference],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=(self._lifeline,),
            start_new_session=True,  # Ctrl-C must reach only this process; containers get SIGTERM
        )
        started(ProcessContainer(process, pod["metadata"]["name"], self._show, self._ended))


class ProcessContainer:
    """One process and its output."""

    def __init__(self, process: subprocess.Popen[bytes], name: str, show: Print, ended: Callable[[], None]) -> None:
        assert process.stdout is not None  # noqa: S101 - it is a pipe
        self._process = process
        self._output = process.stdout
        self._name = name
        self._show = show
        self._ended = ended
        self._last: deque[str] = deque(maxlen=_LAST_LINES)
        self._code: int | None = None
        self._reading = threading.Lock()
        self._decoder = io.IncrementalNewlineDecoder(codecs.getincrementaldecoder("utf-8")("replace"), translate=True)
        self._unfinished = ""
        self._is_at_end = False
        threading.Thread(target=self._attend, name=f"podrelay-{name}", daemon=True).start()

    def exit_code(self) -> int | None:
        """Return the exit code; None while the process runs or its output is not read to the end."""
        return self._code

    def terminate(self) -> None:
        """Send SIGTERM to the process, as a kubelet does to the first process of a container."""
        self._process.terminate()

    def kill(self) -> None:
        """Send SIGKILL to the whole process group."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def last_output(self) -> str:
        """Return the end of its output."""
        return "".join(self._last)[-_LAST_OUTPUT:]

    def read_output(self) -> None:
        """Show everything that has been printed so far, however much follows. May be called by any thread."""
        with self._reading:
            if not self._is_at_end and self._is_readable(0):
                self._take(os.read(self._output.fileno(), _PIPE))

    def _is_readable(self, milliseconds: int | None) -> bool:
        poll = select.poll()
        poll.register(self._output, select.POLLIN)
        return bool(poll.poll(milliseconds))

    def _take(self, data: bytes) -> None:
        self._is_at_end = not data
        *lines, self._unfinished = (self._unfinished + self._decoder.decode(data, final=not data)).split("\n")
        if self._is_at_end and self._unfinished:
            lines.append(self._unfinished)
        for line in lines:
            self._last.append(f"{line}\n")
            self._show(self._name, line)

    def _attend(self) -> None:
        while not self._is_at_end:
            self._is_readable(None)
            self.read_output()
        code = self._process.wait()
        self._code = 128 - code if code < 0 else code
        self._ended()
