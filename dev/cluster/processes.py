"""Start programs that outlive this process, and find and end exactly those later.

A process id alone does not identify a process, because ids are reused, in particular after a reboot. A record therefore
also has the start time of the process and the boot id of the machine. If one of the three differs, the record is stale:
its process has ended, and another process with the same id must not be killed.
"""

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from dev.cluster.errors import ClusterError
from dev.cluster.paths import write_atomic

PROC = Path("/proc")

# Children of this Python process. They have to be reaped when they end, and Python warns about a Popen object that is
# deleted while its process still runs.
_children: list[subprocess.Popen[bytes]] = []


@dataclass(frozen=True, slots=True)
class Process:
    """A process that was started here, distinguishable from a later one with the same id."""

    pid: int
    started: int
    boot: str

    @classmethod
    def of(cls, pid: int, proc: Path = PROC) -> Self | None:
        """Return the process that has this id now; None if there is none or it is a zombie."""
        try:
            # Field 2, the program's name, may contain spaces and parentheses: count from its closing parenthesis.
            fields = (proc / str(pid) / "stat").read_text().rpartition(")")[2].split()
            boot = (proc / "sys/kernel/random/boot_id").read_text().strip()
        except OSError:
            return None
        if fields[0] in {"Z", "X"}:
            return None
        return cls(pid=pid, started=int(fields[19]), boot=boot)

    @classmethod
    def load(cls, record: Path) -> Self | None:
        """Return the process of a record; None if the record does not exist or is damaged."""
        try:
            return cls(**json.loads(record.read_text()))
        except (OSError, ValueError, TypeError):
            return None

    def save(self, record: Path) -> None:
        """Write a record."""
        write_atomic(record, json.dumps(asdict(self)))

    def alive(self, proc: Path = PROC) -> bool:
        """Return whether this process still runs."""
        return Process.of(self.pid, proc) == self

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, unless the process has ended."""
        if self.alive():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)


def start(
    command: Sequence[str | Path],
    *,
    record: Path,
    log: Path,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> Process:
    """Start a program in its own session, so that neither Ctrl-C nor the end of this process affects it."""
    log.parent.mkdir(parents=True, exist_ok=True)
    words = [str(word) for word in command]
    with log.open("a") as output:
        print("$", *words, file=output, flush=True)
        try:
            child = subprocess.Popen(
                words,
                cwd=cwd,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            raise ClusterError(f"{words[0]} could not be started: {error}") from None
    _children.append(child)
    process = Process.of(child.pid)
    if process is None:
        raise ClusterError(f"{Path(words[0]).name} ended immediately.", f"See {log}")
    process.save(record)
    return process


def stop(processes: Iterable[Process], patience: float = 10) -> None:
    """End processes: send SIGTERM to all of them, wait, then send SIGKILL."""
    waiting = [process for process in processes if process.alive()]
    for process in waiting:
        process.signal(signal.SIGTERM)
    deadline = time.monotonic() + patience
    while waiting and time.monotonic() < deadline:
        time.sleep(0.02)
        waiting = [process for process in waiting if process.alive()]
    for process in waiting:
        process.signal(signal.SIGKILL)
    while any(process.alive() for process in waiting):
        time.sleep(0.02)
    _children[:] = [child for child in _children if child.poll() is None]
