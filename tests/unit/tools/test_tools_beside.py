"""Two commands beside each other."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


def beside(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "tools.beside", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=30)


def test_both_run_at_the_same_time_and_the_second_ones_words_come_last(tmp_path: Path) -> None:
    # Each waits until the other one is there.
    here, there = tmp_path / "here", tmp_path / "there"
    meet = "echo hello from {0}; : > {0}; until [ -e {1} ]; do sleep 0.01; done"

    ended = beside("sh", "-c", meet.format(here, there), "--", "sh", "-c", meet.format(there, here))

    assert ended.returncode == 0, ended
    assert ended.stdout.index(f"hello from {here}\n") < ended.stdout.rindex(f"hello from {there}\n")


@pytest.mark.parametrize("commands", [("false", "--", "true"), ("true", "--", "false")])
def test_a_failure_of_either_is_a_failure_and_is_named(commands: tuple[str, ...]) -> None:
    ended = beside(*commands)

    assert ended.returncode == 1
    assert ended.stderr == "failed: false (exit code 1)\n"


def test_without_two_commands_it_says_how_it_is_used() -> None:
    assert beside("true").returncode == 2
    assert beside("true", "--").returncode == 2
