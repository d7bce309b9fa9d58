"""A record of a process identifies only that process, and never another one that reuses its id."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dev.cluster.docker import cgroups
from dev.cluster.processes import Process, start, stop
from dev.harness.waiting import eventually

BOOT = "0f1e2d3c"
SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]


def proc(folder: Path, *, name: str = "etcd", state: str = "S", started: int = 4711, boot: str = BOOT) -> Path:
    """A /proc with one process, 42."""
    (folder / "42").mkdir(parents=True, exist_ok=True)
    (folder / "sys/kernel/random").mkdir(parents=True, exist_ok=True)
    (folder / "42/stat").write_text(f"42 ({name}) {state} " + "0 " * 18 + f"{started} 0 0\n")
    (folder / "sys/kernel/random/boot_id").write_text(f"{boot}\n")
    return folder


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(SLEEP) as process:
        yield process
        process.kill()


def test_a_process_is_known_by_id_start_and_boot(tmp_path: Path) -> None:
    assert Process.of(42, proc(tmp_path)) == Process(pid=42, started=4711, boot=BOOT)


def test_a_name_may_contain_spaces_and_parentheses(tmp_path: Path) -> None:
    assert Process.of(42, proc(tmp_path, name="a) R (b")) == Process(pid=42, started=4711, boot=BOOT)


@pytest.mark.parametrize("change", [{"started": 4712}, {"boot": "another"}, {"state": "Z"}])
def test_a_record_is_stale_after_the_process_ended_or_its_id_was_reused(tmp_path: Path, change: dict[str, Any]) -> None:
    recorded = Process.of(42, proc(tmp_path))
    assert recorded is not None

    assert not recorded.alive(proc(tmp_path, **change))


def test_a_record_survives_being_written_and_read(tmp_path: Path) -> None:
    process = Process(pid=42, started=4711, boot=BOOT)
    process.save(tmp_path / "etcd.json")

    assert Process.load(tmp_path / "etcd.json") == process


@pytest.mark.parametrize("text", ["", "42", "{", '{"pid": 42}', "[]"])
def test_a_damaged_record_is_ignored(tmp_path: Path, text: str) -> None:
    (tmp_path / "etcd.json").write_text(text)

    assert Process.load(tmp_path / "etcd.json") is None


def test_a_started_program_is_recorded_logged_and_ended(tmp_path: Path) -> None:
    process = start(SLEEP, record=tmp_path / "sleep.json", log=tmp_path / "sleep.log")

    assert process.alive()
    assert json.loads((tmp_path / "sleep.json").read_text())["pid"] == process.pid
    assert os.getsid(process.pid) == process.pid
    stop([process])
    assert not process.alive()


def test_a_program_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); time.sleep(60)"
    process = start([sys.executable, "-c", deaf], record=tmp_path / "deaf.json", log=tmp_path / "deaf.log")
    eventually("it ignores the signal", lambda: (tmp_path / "deaf.log").read_text().count("\n") >= 2)

    stop([process], patience=0.1)

    assert not process.alive()


def test_another_process_with_a_recorded_id_is_left_alone(child: subprocess.Popen[bytes]) -> None:
    real = Process.of(child.pid)
    assert real is not None
    stale = dataclasses.replace(real, started=real.started - 1)

    stale.signal(signal.SIGKILL)
    stop([stale], patience=0.1)

    assert child.poll() is None


def test_the_trees_of_control_groups_are_found_among_the_mounts() -> None:
    mounts = (
        "/dev/vda / ext4 rw 0 0\n"
        "tmpfs /sys/fs/cgroup tmpfs rw 0 0\n"
        "cgroup /sys/fs/cgroup/memory cgroup rw,memory 0 0\n"
        "cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n"
    )

    assert cgroups.trees(mounts) == [Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup/unified")]
