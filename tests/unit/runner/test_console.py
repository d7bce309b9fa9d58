"""Output of a task is still printed, and its end is stored in the record without an additional write."""

import sys
import threading
from pathlib import Path

import pytest

from podrelay.runner.console import Console
from tests.unit.runner.test_main import Pod, pod

__all__ = ["pod"]


def text_of(pod: Pod) -> str:
    text: str = pod.api.record["console"]["text"]
    return text


def test_output_of_all_kinds_in_python_is_kept(pod: Pod, capfd: pytest.CaptureFixture[str]) -> None:
    pod.run(
        "import logging, sys, threading\n"
        "print('printed')\n"
        "sys.stderr.write('warned\\n')\n"
        "sys.stdout.buffer.write(b'bytes\\n')\n"
        "logger = logging.getLogger('of-a-printing-task')\n"
        "logger.propagate = False\n"
        "logger.addHandler(logging.StreamHandler())\n"
        "logger.warning('logged')\n"
        "thread = threading.Thread(target=print, args=['threaded'])\n"
        "thread.start(); thread.join()\n"
        "print('without an end', end='')"
    )

    assert text_of(pod) == "printed\nwarned\nbytes\nlogged\nthreaded\nwithout an end"
    out, err = capfd.readouterr()
    assert out == "printed\nbytes\nthreaded\nwithout an end"
    assert err == "warned\nlogged\n"


def test_a_traceback_is_kept(pod: Pod) -> None:
    pod.run("raise ValueError('odd')")

    assert "Traceback (most recent call last)" in text_of(pod)
    assert text_of(pod).endswith("ValueError: odd\n")


def test_the_traceback_of_a_failed_import_is_kept(pod: Pod) -> None:
    pod.run("raw:print('importing')\nimport no_such_module\n", head="")

    assert text_of(pod).startswith("importing\n")
    assert "no_such_module" in text_of(pod)


def test_log_lines_are_not_stored_twice(pod: Pod, capfd: pytest.CaptureFixture[str]) -> None:
    pod.run("print('before')\ncontroller.logger.info('a line')\nprint('after')")

    assert text_of(pod) == "before\nafter\n"
    assert [item["message"] for item in pod.api.record["logs"]] == ["a line"]
    before, line, after = capfd.readouterr().out.splitlines()
    assert (before, '"a line"' in line, after) == ("before", True, "after")


def test_a_large_output_is_truncated_and_counted(pod: Pod) -> None:
    pod.run("for n in range(20_000): print('row', n)")

    assert len(text_of(pod)) <= 16 * 1024
    assert text_of(pod).endswith("row 19999\n")
    assert text_of(pod).startswith("row 1")
    assert pod.api.record["console"]["droppedBytes"] > 100_000


def test_a_signal_handler_that_prints_does_not_deadlock() -> None:
    """Python runs handlers in the main thread, between any two of its bytecode instructions."""
    console = Console()

    def interrupted() -> None:
        with console._lock:
            console.take(b"heard\n")

    thread = threading.Thread(target=interrupted, daemon=True)
    thread.start()
    thread.join(10)

    assert not thread.is_alive()
    assert console.tail() == {"text": "heard\n"}


def test_without_output_no_console_is_stored(pod: Pod) -> None:
    pod.run("pass")
    assert "console" not in pod.api.record


def test_without_record_logs_no_console_is_stored(pod: Pod) -> None:
    pod.run("print('secret')", PODRELAY_RECORD_LOGS="false")

    assert "console" not in pod.api.record


@pytest.mark.parametrize("damage", ["sys.stdout.close()", "sys.stdout = None", "sys.stdout.detach()"])
def test_a_task_that_damages_its_stdout_still_answers(
    pod: Pod, damage: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with (tmp_path / "stdout").open("w") as out:
        monkeypatch.setattr(sys, "stdout", out)
        pod.run(f"import sys\nprint('before')\n{damage}\ncontroller.logger.info('on')\nreturn {{'rows': 1}}")

    assert pod.response["output"] == {"rows": 1}
    assert text_of(pod) == "before\n"


def test_the_streams_are_restored_afterwards(pod: Pod) -> None:
    before = sys.stdout, sys.stderr

    pod.run("print('x')")

    assert (sys.stdout, sys.stderr) == before


def test_printing_causes_no_extra_write(pod: Pod) -> None:
    pod.run("pass")
    silent = len(pod.api.calls)
    loud = Pod(pod.folder)

    loud.run("for n in range(100): print(n)")

    assert len(loud.api.calls) == silent


def test_streams_keep_encoding_and_buffering(pod: Pod, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with (tmp_path / "stdout").open("w", encoding="latin-1", errors="replace") as out:
        monkeypatch.setattr(sys, "stdout", out)
        pod.run("import sys\nprint('ü 😀', sys.stdout.encoding, sys.stdout.errors, sys.stdout.fileno() > 0)")

    assert (tmp_path / "stdout").read_bytes() == b"\xfc ? latin-1 replace True\n"
