"""Two commands in parallel."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[4]


def in_parallel(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "dev.tools.parallel", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=30)


def test_both_run_at_the_same_time_and_the_second_output_comes_last(tmp_path: Path) -> None:
    # Each waits until the other one has started.
    here, there = tmp_path / "here", tmp_path / "there"
    meet = "echo hello from {0}; : > {0}; until [ -e {1} ]; do sleep 0.01; done"

    ended = in_parallel("sh", "-c", meet.format(here, there), "--", "sh", "-c", meet.format(there, here))

    assert ended.returncode == 0, ended
    assert ended.stdout.index(f"hello from {here}\n") < ended.stdout.rindex(f"hello from {there}\n")


@pytest.mark.parametrize("commands", [("false", "--", "true"), ("true", "--", "false")])
def test_a_failure_of_either_command_is_reported(commands: tuple[str, ...]) -> None:
    ended = in_parallel(*commands)

    assert ended.returncode == 1
    assert ended.stderr == "failed: false (exit code 1)\n"


def test_without_two_commands_it_shows_its_usage() -> None:
    assert in_parallel("true").returncode == 2
    assert in_parallel("true", "--").returncode == 2
