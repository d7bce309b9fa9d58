"""The operator, forked from a process that has imported it already: a start costs a tenth of what it costs otherwise.

For tests that start hundreds of them.
"""

import multiprocessing
import os
import subprocess
from dataclasses import dataclass
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from podrelay.cli.main import run
from podrelay.kube import reflector
from tests.support.operator import OperatorProcess

_FORK_SERVER = multiprocessing.get_context("forkserver")
_FORK_SERVER.set_forkserver_preload(["pytest", "podrelay.reconciler.options", "podrelay.reconciler.main", __name__])


@dataclass(frozen=True)
class _Forked:
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


@dataclass
class ForkedOperator(OperatorProcess):
    """As OperatorProcess.

    Attributes:
        silence_seconds: it takes a watch for dead when nothing came for so long.
    """

    silence_seconds: float = reflector.SILENCE_SECONDS

    def launch(self, arguments: list[str]) -> _Forked:
        self.log.touch()
        process = _FORK_SERVER.Process(
            target=_operate, args=(arguments, self.environment, self.log, self.silence_seconds), daemon=True
        )
        process.start()
        return _Forked(process)


def _operate(arguments: list[str], environment: dict[str, str], log: Path, silence_seconds: float) -> None:
    with log.open("ab") as output:
        for standard in (1, 2):
            os.dup2(output.fileno(), standard)
    os.environ.update(environment)
    reflector.SILENCE_SECONDS = silence_seconds
    raise SystemExit(run(arguments))
