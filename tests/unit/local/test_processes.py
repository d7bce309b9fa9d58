"""Containers as processes: their output."""

import os
import subprocess
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from dev.harness.waiting import eventually
from podrelay.api import names
from podrelay.local.processes import ProcessContainer, processes_with


def started(*command: str) -> tuple[ProcessContainer, list[str], threading.Event]:
    """Start a process; return it with what it shows, and what is set when it has ended."""
    lines: list[str] = []
    ended = threading.Event()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True)
    return ProcessContainer(process, "words-i1", lambda _name, line: lines.append(line), ended.set), lines, ended


def test_one_call_reads_what_is_there_and_does_not_wait_for_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise a process that prints without end would block the main loop of a local run."""
    for work in ("_attend", "_read"):
        monkeypatch.setattr(ProcessContainer, work, lambda _self: None)
    chunks = iter([b"one\n", b"two\n", b""])
    monkeypatch.setattr("podrelay.local.processes.os.read", lambda _descriptor, _size: next(chunks))
    lines: list[str] = []
    with Path("/dev/zero").open("rb") as always_readable:
        process: Any = SimpleNamespace(stdout=always_readable)
        ProcessContainer(process, "words-i1", lambda _name, line: lines.append(line), lambda: None).read_output()

    assert lines == ["one"]


def test_output_is_split_into_lines_even_if_a_character_is_read_in_two_parts() -> None:
    script = r"printf 'a\r\nb\rc\303'; printf '\244\n\377 last'"
    _, lines, ended = started("sh", "-c", script)

    assert ended.wait(20)
    assert lines == ["a", "b", "cä", "\ufffd last"]


def test_what_a_task_has_started_ends_with_its_container() -> None:
    """Also in another session: it may have the output open, and nothing else ends it."""
    script = "setsid sleep 600 & echo $!; sleep 600 & echo $!"
    process = subprocess.Popen(
        ["sh", "-c", script],
        stdout=subprocess.PIPE,
        start_new_session=True,
        env={**os.environ, names.ENV_POD_UID: "uid-of-this-test"},
    )
    lines: list[str] = []
    ended = threading.Event()
    ProcessContainer(process, "words-i1", lambda _name, line: lines.append(line), ended.set, "uid-of-this-test")

    assert ended.wait(20)
    assert len(lines) == 2
    eventually("they have ended", lambda: not list(processes_with(f"{names.ENV_POD_UID}=uid-of-this-test")))
