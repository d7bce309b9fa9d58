"""`podrelay` in processes that are forked from one that has already imported it: a start takes a tenth of the time.

The tests of images and of the command line run the commands of images and shells.
"""

import contextlib
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from podrelay.cli.main import run
from podrelay.kube import reflector

_FORK_SERVER = multiprocessing.get_context("forkserver")
_FORK_SERVER.set_forkserver_preload(
    [
        "pytest",
        "podrelay.operator.options",
        "podrelay.operator.main",
        "podrelay.gateway.options",
        "podrelay.gateway.main",
        "podrelay.cli.tasks.app",
        "podrelay.devserver.options",
        "podrelay.devserver.main",
        __name__,
    ]
)


@dataclass(frozen=True)
class Forked:
    """Has the interface of a subprocess.Popen."""

    process: ForkServerProcess

    @property
    def pid(self) -> int:
        assert self.process.pid is not None
        return self.process.pid

    def poll(self) -> int | None:
        return self.process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        self.process.join(timeout)
        if self.process.exitcode is None:
            raise subprocess.TimeoutExpired(self.process.name, timeout or 0)
        return self.process.exitcode

    def send_signal(self, sig: int) -> None:
        with contextlib.suppress(ProcessLookupError):  # it has just ended and was reaped, as with Popen
            os.kill(self.pid, sig)


def podrelay(
    arguments: list[str],
    environment: dict[str, str],
    log: Path,
    silence_seconds: float = reflector.SILENCE_SECONDS,
    folder: Path | None = None,
) -> Forked:
    """Run the command `podrelay` with these arguments and this environment, appending its output to a file.

    It treats a watch as broken when nothing has arrived for `silence_seconds`. Its current folder is `folder`; default:
    that of this process.
    """
    log.touch()
    return _start(arguments, environment, (Path(os.devnull), log, log), silence_seconds, folder)


def command(
    arguments: list[str], environment: dict[str, str], stdin: str = "", timeout: float = 120
) -> subprocess.CompletedProcess[str]:
    """Run the command `podrelay` to its end, like subprocess.run."""
    with tempfile.TemporaryDirectory() as folder:
        files = tuple(Path(folder) / name for name in ("stdin", "stdout", "stderr"))
        for file in files:
            file.write_text(stdin if file.name == "stdin" else "", encoding="utf-8")
        process = _start(arguments, environment, files)
        try:
            code = process.wait(timeout)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            raise
        out, err = (file.read_text(encoding="utf-8") for file in files[1:])
        return subprocess.CompletedProcess(["podrelay", *arguments], code, out, err)


def _start(
    arguments: list[str],
    environment: dict[str, str],
    files: tuple[Path, ...],
    silence_seconds: float = reflector.SILENCE_SECONDS,
    folder: Path | None = None,
) -> Forked:
    given = (arguments, environment, files, silence_seconds, folder or Path.cwd())
    process = _FORK_SERVER.Process(target=_run, args=given, daemon=True)
    process.start()
    return Forked(process)


def _run(
    arguments: list[str], environment: dict[str, str], files: tuple[Path, ...], silence_seconds: float, folder: Path
) -> None:
    for standard, file in enumerate(files):
        with file.open("ab" if standard else "rb") as opened:
            os.dup2(opened.fileno(), standard)
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - multiprocessing has closed the one before
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    reflector.SILENCE_SECONDS = silence_seconds
    raise SystemExit(run(arguments))
