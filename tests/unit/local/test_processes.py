"""Containers as processes: their output."""

import subprocess
import threading

from podrelay.local.processes import ProcessContainer


def started(*command: str) -> tuple[ProcessContainer, list[str], threading.Event]:
    """Start a process; return it with what it shows, and what is set when it has ended."""
    lines: list[str] = []
    ended = threading.Event()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True)
    return ProcessContainer(process, "words-i1", lambda _name, line: lines.append(line), ended.set), lines, ended


def test_reading_ends_while_a_process_prints_without_end() -> None:
    container, _, ended = started("yes")
    reader = threading.Thread(target=container.read_output, daemon=True)
    reader.start()
    reader.join(20)
    container.kill()

    assert not reader.is_alive()
    assert ended.wait(20)
    assert container.exit_code() == 137


def test_output_is_split_into_lines_even_if_a_character_is_read_in_two_parts() -> None:
    script = r"printf 'a\r\nb\rc\303'; printf '\244\n\377 last'"
    _, lines, ended = started("sh", "-c", script)

    assert ended.wait(20)
    assert lines == ["a", "b", "cä", "\ufffd last"]
