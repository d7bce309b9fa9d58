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
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from podrelay.api import names
from podrelay.local import kubelet
from podrelay.local.container import ENV_AHEAD, ENV_FOLDER, ENV_LIFELINE
from podrelay.local.kubelet import Container
from podrelay.local.memory_api import MemoryApi, Object
from podrelay.local.server import Server

_RUNNER: Final = "podrelay-runner"
_LAST_LINES: Final = 80
_LAST_READS: Final = 16
"""How often the output is read after the end of the process: a process that has survived may print endlessly."""
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
        ahead: returns how many seconds of waiting were skipped so far.
        show: called for every line of output, in a separate thread for each container.
        ended: called in that thread when a container has ended.
        obstacle: returns why a MODULE:CLASS cannot be run now; None if it can.
    """

    def __init__(
        self,
        api: MemoryApi,
        folder: Path,
        ahead: Callable[[], float],
        show: Print,
        ended: Callable[[], None],
        obstacle: Callable[[str], str | None] = lambda _reference: None,
    ) -> None:
        self._api = api
        self._server = Server(api, folder)
        self._folder = folder
        self._ahead = ahead
        self._show = show
        self._ended = ended
        self._obstacle = obstacle
        # Its writing end closes when this process ends, in any way.
        self._lifeline, self._hold = os.pipe()

    def close(self) -> None:
        """Stop serving; running containers are killed."""
        os.close(self._hold)
        os.close(self._lifeline)
        self._server.close()

    def obstacle(self, pod: Object) -> str | None:
        """Return why the container of a pod cannot be started now; None if it can."""
        reference = _reference(pod)
        return self._obstacle(reference) if reference is not None else None

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
        reference = _reference(pod)
        if reference is None:
            raise OSError(
                f"{_RUNNER} MODULE:CLASS is not its command; other programs are in a container image, which needs a "
                "cluster"
            )
        process = subprocess.Popen(
            [sys.executable, "-m", "podrelay.local.container", reference],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=(self._lifeline,),
            start_new_session=True,  # Ctrl-C must reach only this process; containers get SIGTERM
        )
        uid = pod["metadata"]["uid"]

        def show(name: str, line: str) -> None:
            self._api.logs.append(uid, f"{line}\n".encode())
            self._show(name, line)

        started(ProcessContainer(process, pod["metadata"]["name"], show, self._ended, uid))


def _reference(pod: Object) -> str | None:
    """Return the MODULE:CLASS that the container of a pod runs; None if it runs something else."""
    container = kubelet.container_of(pod)
    words = [*(container.get("command") or ()), *(container.get("args") or ())]
    at = next((place for place, word in enumerate(words) if Path(word).name == _RUNNER), None)
    return words[at + 1] if at is not None and at + 1 < len(words) else None


class ProcessContainer:
    """One process and its output.

    Args:
        process: the process, which leads a group; its stdout is a pipe.
        name: the name of the pod.
        show: called for every line of output.
        ended: called when the process has ended.
        uid: the UID of the pod, by which processes that the task has started are found.
    """

    def __init__(
        self, process: subprocess.Popen[bytes], name: str, show: Print, ended: Callable[[], None], uid: str = ""
    ) -> None:
        assert process.stdout is not None  # noqa: S101 - it is a pipe
        self._process = process
        self._output = process.stdout
        self._name = name
        self._uid = uid
        self._show = show
        self._ended = ended
        self._last: deque[str] = deque(maxlen=_LAST_LINES)
        self._code: int | None = None
        self._reading = threading.Lock()
        self._decoder = io.IncrementalNewlineDecoder(codecs.getincrementaldecoder("utf-8")("replace"), translate=True)
        self._unfinished = ""
        self._is_at_end = False
        for work in (self._read, self._attend):
            threading.Thread(target=work, name=f"podrelay-{name}", daemon=True).start()

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

    def memory(self) -> int:
        """Return how many bytes of memory the process and its children use; 0 if that is unknown."""
        return sum(map(_resident, _with_children(self._process.pid)))

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

    def _read(self) -> None:
        while not self._is_at_end:
            self._is_readable(None)
            self.read_output()

    def _attend(self) -> None:
        code = self._process.wait()
        # As in a container, no process outlives the first one. One that survives could keep the output open.
        self.kill()
        for pid in processes_with(f"{names.ENV_POD_UID}={self._uid}"):
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        for _ in range(_LAST_READS):
            if not self._is_at_end and self._is_readable(0):
                self.read_output()
        with self._reading:  # what another thread has read is shown before the end
            self._code = 128 - code if code < 0 else code
        self._ended()


def processes_with(variable: str) -> Iterator[int]:
    """Yield the processes with a variable, given as NAME=VALUE, in their environment; none if there is no /proc."""
    wanted = variable.encode()
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if int(entry.name) != os.getpid() and wanted in (entry / "environ").read_bytes().split(b"\0"):
                yield int(entry.name)


def _with_children(pid: int) -> Iterator[int]:
    yield pid
    with suppress(OSError):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            for child in (thread / "children").read_text().split():
                yield from _with_children(int(child))


def _resident(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0
