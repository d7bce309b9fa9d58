"""CPU time and memory of other processes, as the kernel counts them."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dev.cluster import controlplane
from dev.cluster.paths import here
from dev.cluster.processes import Process

_TICKS_PER_SECOND: Final = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Memory:
    """Resident memory of a process, in MiB."""

    now: float
    peak: float


def cpu_seconds(pid: int) -> float:
    """Return the CPU time of all threads of a process, in user and kernel mode."""
    return parse_cpu(Path(f"/proc/{pid}/stat").read_text(encoding="utf-8"))


def memory(pid: int) -> Memory:
    """Return the resident memory of a process."""
    return parse_memory(Path(f"/proc/{pid}/status").read_text(encoding="utf-8"))


def parse_cpu(stat: str) -> float:
    """Parse `/proc/PID/stat`; the program's name in it may contain spaces and parentheses."""
    fields = stat.rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_SECOND


def parse_memory(status: str) -> Memory:
    """Parse `/proc/PID/status`."""
    fields = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
    return Memory(now=_mib(fields["VmRSS"]), peak=_mib(fields["VmHWM"]))


def control_plane() -> dict[str, int]:
    """Return the process ids of this checkout's control plane, by program."""
    files = controlplane.Files(here().of(controlplane.KIND))
    found = {program: Process.load(files.record(program)) for program in controlplane.PROGRAMS}
    return {program: process.pid for program, process in found.items() if process is not None and process.alive()}


def _mib(field: str) -> float:
    return int(field.split(maxsplit=1)[0]) / 1024
