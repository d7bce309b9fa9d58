"""The first steps of a newcomer, as the README describes them: install, write a task, run it. Only its text is used."""

import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from dev.cluster.paths import CHECKOUT
from dev.harness.waiting import eventually

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

PARTS = ("operator", "pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md")


def blocks(language: str) -> list[str]:
    """Return the code blocks of the section in one language."""
    text = (CHECKOUT / "README.md").read_text(encoding="utf-8")
    section = text.partition("\n## Try it\n")[2].partition("\n## ")[0]
    return re.findall(rf"^```{language}\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)


def commands(block: str) -> list[str]:
    return [line.removeprefix("$ ") for line in block.splitlines() if line.startswith("$ ")]


def copy_checkout(folder: Path) -> None:
    for part in PARTS:
        if (CHECKOUT / part).is_dir():
            shutil.copytree(CHECKOUT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(CHECKOUT / part, folder / part)


def test_from_nothing_to_a_finished_run(tmp_path: Path) -> None:
    copy_checkout(tmp_path)
    install, serve, use = map(commands, blocks("console"))
    (task,) = blocks("python")
    name = task.splitlines()[0].removeprefix("# ")
    plain = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "VIRTUAL", "KUBECONFIG"))}
    plain["PIP_COMPILE"] = "0"  # it would compile some thousand modules, most of which nothing imports
    started = time.monotonic()

    def shell(*lines: str) -> str:
        script = "\n".join(("set -e", *lines))
        ended = subprocess.run(
            ["bash", "-c", script], cwd=tmp_path, env=plain, capture_output=True, text=True, check=False
        )
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return ended.stdout

    shell(*install)
    (tmp_path / name).write_text(task)
    # Another port, because its own may be in use.
    script = "\n".join((install[0].partition("&& ")[2], f"exec {serve[0]} --port=0"))
    with (tmp_path / "output").open("wb") as output:
        server = subprocess.Popen(["bash", "-c", script], cwd=tmp_path, env=plain, stdout=output, stderr=output)
    try:
        eventually("it is ready", lambda: "Ctrl-C" in (tmp_path / "output").read_text())
        printed = shell(*use)
        seconds = time.monotonic() - started
    finally:
        server.send_signal(signal.SIGINT)
        server.wait(timeout=20)

    assert '"rows": 250' in printed
    assert "Succeeded" in printed
    print(f"{seconds:.0f} s")  # under a minute on a computer that has nothing else to do
