"""Processes for pods: any command, and the runner forked from a process that has imported it already.

A start of the runner takes a tenth of the time so; the end-to-end tests have the image's own command.
"""

import asyncio
import multiprocessing
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from multiprocessing.context import ForkServerProcess
from pathlib import Path

RUNNER = "podrelay-runner"

_FORK_SERVER = multiprocessing.get_context("forkserver")
_FORK_SERVER.set_forkserver_preload(["podrelay.runner.main", "podrelay", "asyncio", __name__])


@dataclass(frozen=True)
class Started:
    """A process that runs.

    Attributes:
        pid: of it, and of its group.
        ended: to be awaited; its exit code, negative for a signal.
    """

    pid: int
    ended: Awaitable[int]


async def start(command: list[str], environment: dict[str, str], log: Path) -> Started:
    """Start a command in a process group of its own, with all that it prints in a file.

    Raises:
        OSError: it cannot be started.
    """
    # What changes how Python itself starts has to be there when it does.
    if command[0] == RUNNER and not any(name.startswith("PYTHON") for name in environment):
        return _forked(command, environment, log)
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *command, env=environment, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
    return Started(process.pid, process.wait())


def _forked(command: list[str], environment: dict[str, str], log: Path) -> Started:
    process = _FORK_SERVER.Process(target=_run, args=(command, environment, log))
    process.start()
    assert process.pid is not None
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[int] = loop.create_future()
    loop.add_reader(process.sentinel, _end_of(process, ended, loop.remove_reader))
    return Started(process.pid, ended)


def _end_of(
    process: ForkServerProcess, ended: "asyncio.Future[int]", forget: Callable[[int], bool]
) -> Callable[[], None]:
    def tell() -> None:
        forget(process.sentinel)
        process.join()
        if not ended.done():
            ended.set_result(process.exitcode or 0)

    return tell


def _run(command: list[str], environment: dict[str, str], log: Path) -> None:
    os.setsid()
    with log.open("wb") as output:
        for standard in (1, 2):
            os.dup2(output.fileno(), standard)
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 - buffered as a file is
    sys.stderr = open(2, "w", encoding="utf-8", errors="backslashreplace", buffering=1, closefd=False)  # noqa: SIM115
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = command
    from podrelay.runner.main import main

    main()
