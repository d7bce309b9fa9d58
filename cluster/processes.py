"""Start programs that outlive us, and find and end exactly those again.

A process id alone names nothing: ids are reused, and after a reboot they all are. So a record holds the id together
with the process's start time and the machine's boot id, and a record whose three parts do not all match is stale: its
process is gone, and whoever has its id now is a stranger that must not be killed.
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

from cluster.errors import ClusterError
from cluster.paths import write_atomic

PROC = Path("/proc")

# Children of this very Python process. Somebody has to reap them when they end, and a Popen object that goes away while
# its process lives on is taken for a mistake and warned about.
_children: list[subprocess.Popen[bytes]] = []


@dataclass(frozen=True, slots=True)
class Process:
    """One process that we started, told apart from a later one of the same id."""

    pid: int
    started: int
    boot: str

    @classmethod
    def of(cls, pid: int, proc: Path = PROC) -> Self | None:
        """The process that has this id now; None if nobody has it, or only a zombie."""
        try:
            # Field 2, the program's name, may hold blanks and brackets: count from its closing bracket on.
            fields = (proc / str(pid) / "stat").read_text().rpartition(")")[2].split()
            boot = (proc / "sys/kernel/random/boot_id").read_text().strip()
        except OSError:
            return None
        if fields[0] in {"Z", "X"}:
            return None
        return cls(pid=pid, started=int(fields[19]), boot=boot)

    @classmethod
    def load(cls, record: Path) -> Self | None:
        """Read a record; None if there is none or it is damaged."""
        try:
            return cls(**json.loads(record.read_text()))
        except (OSError, ValueError, TypeError):
            return None

    def save(self, record: Path) -> None:
        """Write a record."""
        write_atomic(record, json.dumps(asdict(self)))

    def alive(self, proc: Path = PROC) -> bool:
        """Whether this very process still runs."""
        return Process.of(self.pid, proc) == self

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, if the process is still the one that we mean."""
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
    """Start a program in a session of its own, so that neither Ctrl-C nor our own end reaches it."""
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
        raise ClusterError(f"{Path(words[0]).name} ended at once.", f"See {log}")
    process.save(record)
    return process


def stop(processes: Iterable[Process], patience: float = 10) -> None:
    """End processes: ask all of them, wait, then insist."""
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
