"""`podrelay` in processes that are forked from one that has imported it already: a start takes a tenth of the time.

The commands of images and shells are tried where images and the command line are tested.
"""

import multiprocessing
import os
import subprocess
from dataclasses import dataclass
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from podrelay.cli.main import run
from podrelay.kube import reflector

_FORK_SERVER = multiprocessing.get_context("forkserver")
_FORK_SERVER.set_forkserver_preload(
    [
        "pytest",
        "podrelay.reconciler.options",
        "podrelay.reconciler.main",
        "podrelay.gateway.options",
        "podrelay.gateway.main",
        __name__,
    ]
)


@dataclass(frozen=True)
class Forked:
    """Looks like a subprocess.Popen."""

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
        os.kill(self.pid, sig)


def podrelay(
    arguments: list[str],
    environment: dict[str, str],
    log: Path,
    silence_seconds: float = reflector.SILENCE_SECONDS,
) -> Forked:
    """Run the command `podrelay` with these arguments and this environment, its output added to a file.

    It takes a watch for dead when nothing came for `silence_seconds`.
    """
    log.touch()
    process = _FORK_SERVER.Process(target=_run, args=(arguments, environment, log, silence_seconds), daemon=True)
    process.start()
    return Forked(process)


def _run(arguments: list[str], environment: dict[str, str], log: Path, silence_seconds: float) -> None:
    with log.open("ab") as output:
        for standard in (1, 2):
            os.dup2(output.fileno(), standard)
    os.environ.clear()
    os.environ.update(environment)
    reflector.SILENCE_SECONDS = silence_seconds
    raise SystemExit(run(arguments))
