"""`podrelay run`, in real processes: its output, its exit codes, and the effect of Ctrl-C."""

import json
import os
import pty
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from podrelay.cli import main, narration

TASKS = """
import os
import threading
import time
from pathlib import Path

from podrelay import TaskDefinition

print("imported")


class Count(TaskDefinition):
    id = "count"
    title = "Count"
    retry = {"limit": 1, "initialSeconds": 3600}

    def run(self, input, controller):
        print("in process", os.getpid())
        controller.progress(controller.task.iteration, 2, "iterations")
        controller.logger.info("working", data=input)
        if controller.task.iteration == 1:
            return controller.response.continue_({"pid": os.getpid()}, seconds=3600)
        if controller.task.attempt == 1:
            os._exit(9)
        return controller.response.done("counted", {"pids": [input["pid"], os.getpid()]})


class Confidential(TaskDefinition):
    id = "confidential"
    title = "Confidential"

    def run(self, input, controller):
        print(controller.secret)
        return controller.response.done({key: len(value) for key, value in controller.secret.items()})


class Fail(TaskDefinition):
    id = "fail"
    title = "Fail"

    def run(self, input, controller):
        raise ValueError("no")


class Wait(TaskDefinition):
    id = "wait"
    title = "Wait"

    def run(self, input, controller):
        print("ready", flush=True)
        while not controller.runtime.is_aborted():
            time.sleep(0.01)
        Path("cleaned-up").touch()
        return controller.response.aborted()


class Deaf(TaskDefinition):
    id = "deaf"
    title = "Deaf"

    def run(self, input, controller):
        Path("pid").write_text(str(os.getpid()))
        print("ready", flush=True)
        while True:
            time.sleep(0.01)


class Threads(TaskDefinition):
    id = "threads"
    title = "Threads"

    def run(self, input, controller):
        threading.Thread(target=time.sleep, args=(600,), name="upload").start()


class Short(TaskDefinition):
    id = "short"
    title = "Short"
    retries = 3

    def run(self, input):
        pass


class Shell(TaskDefinition):
    id = "shell"
    title = "Shell"
    reporting = "TerminationMessage"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "tasks.py").write_text(TASKS)
    return tmp_path


class Command:
    """A `podrelay run` in its own process."""

    def __init__(self, folder: Path, *arguments: str, stderr: Any = subprocess.PIPE) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "podrelay.cli.main", "run", *arguments],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        )

    def wait_for(self, text: str) -> None:
        """Read stderr until a line has this text."""
        assert self.process.stderr is not None
        lines = []
        for line in self.process.stderr:
            lines.append(line)
            if text in line:
                return
        raise AssertionError("".join(lines))

    def end(self) -> tuple[int, str, str]:
        """Return the exit code, stdout, and the part of stderr that was not read yet."""
        out, err = self.process.communicate(timeout=120)
        return self.process.returncode, out, err


def run(folder: Path, *arguments: str) -> tuple[int, str, str]:
    return Command(folder, *arguments).end()


def test_each_iteration_is_a_process_and_stdout_has_only_the_output(folder: Path) -> None:
    code, out, err = run(folder, "tasks:Count", "--no-wait", "--name", "my-run", "--input", '{"a": 1}')

    assert code == 0, err
    first, second = json.loads(out)["pids"]
    assert first != second
    assert "my-run: Count" in err
    assert 'working {"a": 1}' in err
    assert "50% 1/2 iterations" in err
    assert f"in process {first}" in err
    assert "iteration 1 answered continue" in err
    assert "Waiting: next pod at " in err
    assert "iteration 2 answered error: container task ended with exit code 9 without an answer" in err
    assert "Succeeded after 2 iterations in 1:10:0" in err  # an hour's pause, and ten minutes before the retry


def test_overrides_that_the_task_does_not_allow_are_refused_with_words(folder: Path) -> None:
    code, _, err = run(folder, "tasks:Count", "--no-wait", "--overrides", '{"maxIterations": 5}')

    assert code == 2
    assert "spec.overrides has maxIterations, but TaskDefinition count allows none" in err


@pytest.mark.parametrize("more", [[], ["--in-process"]])
def test_a_task_gets_its_secret_from_files(folder: Path, more: list[str]) -> None:
    (folder / "keys").mkdir()
    (folder / "keys" / "ca.crt").write_text("12345")
    (folder / "password.txt").write_text("s3cret")

    flags = ("--secret-file", "password=password.txt", "--secret-file", "keys")
    code, out, err = run(folder, "tasks:Confidential", *flags, *more)

    assert (code, json.loads(out)) == (0, {"ca.crt": 5, "password": 6})
    assert "s3cret" not in err


def test_a_missing_file_is_wrong_usage(folder: Path) -> None:
    code, _, err = run(folder, "tasks:Confidential", "--secret-file", "password=none.txt")

    assert code == 2
    assert "--secret-file password=none.txt" in err


def test_json_is_the_task_run_as_kubectl_prints_it(folder: Path) -> None:
    (folder / "input.json").write_text('{"a": 1}')
    arguments = ("--no-wait", "-o", "json", "--input", "@input.json", "--in-process")

    code, out, err = run(folder, "tasks.py:Fail", *arguments)

    assert code == 1, err
    document = json.loads(out)
    assert list(document) == ["apiVersion", "kind", "metadata", "spec", "status"]
    assert document["spec"] == {"definition": "fail", "input": {"a": 1}}
    assert document["status"]["phase"] == "Failed"
    assert document["status"]["error"] == {"message": "no", "code": "ValueError"}
    assert "ValueError: no" in err  # the traceback
    assert "imported" in err


@pytest.mark.parametrize("more", [[], ["--in-process"]], ids=["processes", "in process"])
def test_ctrl_c_lets_the_task_clean_up(folder: Path, more: list[str]) -> None:
    command = Command(folder, "tasks:Wait", *more)
    command.wait_for("ready")
    command.process.send_signal(signal.SIGINT)

    code, _, err = command.end()

    assert code == 3
    assert (folder / "cleaned-up").exists()
    assert "aborting" in err
    assert "Aborted after 1 iteration" in err


@pytest.mark.parametrize("more", [[], ["--in-process"]], ids=["processes", "in process"])
def test_a_second_ctrl_c_kills(folder: Path, more: list[str]) -> None:
    command = Command(folder, "tasks:Deaf", *more)
    command.wait_for("ready")
    command.process.send_signal(signal.SIGINT)
    command.wait_for("aborting")
    command.process.send_signal(signal.SIGINT)

    code, _, err = command.end()

    assert code == 3, err
    assert_ended(int((folder / "pid").read_text()))


def test_ctrl_c_ends_a_pause(folder: Path) -> None:
    command = Command(folder, "tasks:Count")
    command.wait_for("Waiting: next pod at ")
    command.process.send_signal(signal.SIGTERM)

    code, out, err = command.end()

    assert (code, out) == (3, "")
    assert "aborted by Ctrl-C" in err


def test_no_process_outlives_a_killed_command(folder: Path) -> None:
    command = Command(folder, "tasks:Deaf")
    command.wait_for("ready")
    command.process.kill()
    command.end()

    assert_ended(int((folder / "pid").read_text()))


def assert_ended(pid: int) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
            return  # a zombie: its new parent has not reaped it yet
        threading.Event().wait(0.01)
    raise AssertionError(f"process {pid} still runs")


def test_on_a_terminal_progress_is_one_live_line(folder: Path) -> None:
    master, slave = pty.openpty()
    command = Command(folder, "tasks:Count", "--no-wait", stderr=slave)
    os.close(slave)
    code, _, _ = command.end()
    shown = read_all(master)

    assert code == 0, shown
    assert "\r\x1b[2K" in shown
    assert "iteration 1: 50% 1/2 iterations\r\x1b[2K" in shown


def read_all(descriptor: int) -> str:
    parts = []
    try:
        while part := os.read(descriptor, 65536):
            parts.append(part)
    except OSError:  # a pseudo-terminal reports in this way that its other end is closed
        pass
    finally:
        os.close(descriptor)
    return b"".join(parts).decode()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothere:Count"], "cannot import nothere"),
        (
            ["tasks:Nope"],
            "tasks has no task definition Nope; there are: Count, Confidential, Fail, Wait, Deaf, "
            "Threads, Short, Shell",
        ),
        (["tasks"], "specify the task definition of tasks as MODULE:CLASS"),
        (["tasks:Count", "--input", "[1]"], "--input: input must be a JSON object, not list"),
        (["tasks:Count", "--input", "{a"], "--input is not JSON"),
        (["tasks:Count", "--input", '{"x": NaN}'], "input.x: nan is not a JSON number"),
        (["tasks:Count", "--input", "@missing.json"], "No such file or directory: 'missing.json'"),
        (["tasks:Count", "--input", "@large.json"], "the limit is 262144"),
        (["tasks:Count", "--name", "My.Run"], "metadata.name must be a DNS label"),
        (["tasks:Shell"], "shell has reporting TerminationMessage"),
    ],
)
def test_wrong_usage_is_explained(
    folder: Path,
    arguments: list[str],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (folder / "large.json").write_text(json.dumps({"x": "y" * 300_000}))
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", [str(folder), *sys.path])
    sys.modules.pop("tasks", None)

    assert main.run(["run", *arguments]) == 2
    out, err = capsys.readouterr()
    assert message in err
    assert out == ""


def test_an_invalid_class_is_reported_before_anything_runs(folder: Path) -> None:
    code, out, err = run(folder, "tasks:Short")

    assert (code, out) == (2, "")
    assert err == (
        "imported\n"
        "podrelay run: Short: retries is not a class variable of a task; did you mean retry? "
        "If it is your own, rename it, for example to _retries; "
        "run is called as run(self, input, controller), but is written run(self, input)\n"
    )


def test_another_invalid_class_of_the_module_is_only_reported(folder: Path) -> None:
    code, _, err = run(folder, "tasks:Fail")

    assert code == 1
    assert "podrelay run: Short: retries is not a class variable" in err
    assert "Failed after 1 iteration" in err


def test_code_and_data_of_an_error_are_shown(folder: Path) -> None:
    (folder / "coded.py").write_text("""
from podrelay import Fatal, TaskDefinition

class Coded(TaskDefinition):
    id = "coded"
    title = "Coded"

    def run(self, input, controller):
        raise Fatal("no such shop", code="NoShop", data={"shop": "Graz"})
""")

    code, _, err = run(folder, "coded.py")

    assert code == 1
    assert re.search(r'Failed after 1 iteration in .*: no such shop\n  code: NoShop\n  data: {"shop": "Graz"}\n$', err)


def test_threads_that_are_ended_while_running_are_reported(folder: Path) -> None:
    code, _, err = run(folder, "tasks:Threads")

    assert code == 0
    assert "run() has ended, but thread upload (at run in threading.py:" in err
    assert "is still running and ends with this pod" in err


def test_it_needs_no_package_of_the_operator(folder: Path) -> None:
    code = """
import sys
for name in ("aiohttp", "httptools", "jsonschema_rs", "kopf", "orjson", "prometheus_client", "uvloop", "yaml", "yarl"):
    sys.modules[name] = None  # importing it raises ImportError
from podrelay.cli import main
sys.exit(main.run(["run", "tasks:Fail"]))
"""
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False, timeout=120
    )

    assert ended.returncode == 1, ended.stderr
    assert "Failed after 1 iteration" in ended.stderr


@pytest.mark.parametrize("line", ["hello", '{"time": ', '{"time": "x", "type": "info", "message": "m"}', "{}"])
def test_other_lines_are_unchanged(line: str) -> None:
    assert narration.log_line(line) is None


def test_log_lines_are_made_readable() -> None:
    line = '{"time": "2026-01-01T10:00:00Z", "type": "error", "message": "odd", "error": {"message": "x"}, "data": [1]}'

    readable: Callable[[str], str | None] = narration.log_line

    assert (readable(line) or "").endswith("ERROR odd: x [1]")
    assert (readable(line.replace("odd", "x, and why")) or "").endswith("ERROR x, and why [1]")
