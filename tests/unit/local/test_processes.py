"""Containers as processes: their output."""

import subprocess
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from podrelay.local.processes import ProcessContainer


def started(*command: str) -> tuple[ProcessContainer, list[str], threading.Event]:
    """Start a process; return it with what it shows, and what is set when it has ended."""
    lines: list[str] = []
    ended = threading.Event()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True)
    return ProcessContainer(process, "words-i1", lambda _name, line: lines.append(line), ended.set), lines, ended


def test_one_call_reads_what_is_there_and_does_not_wait_for_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise a process that prints without end would block the main loop of a local run."""
    monkeypatch.setattr(ProcessContainer, "_attend", lambda _self: None)
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
