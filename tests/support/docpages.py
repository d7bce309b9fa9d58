"""Code blocks of the documentation.

A Python block that begins with `# NAME.py` is a file, and so is any block that begins with `# FOLDER/NAME`. A console
block is a list of commands (`$ ...`), each followed by its output on stdout and stderr, with `...` for text that may
differ. If the output is only `...`, the command must succeed, and may print nothing.
"""

import doctest
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

DOCS = Path(__file__).parents[2] / "docs"
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class Command(NamedTuple):
    """A command, and its output on the page."""

    line: str
    output: str


def files(page: str) -> Iterator[tuple[str, str]]:
    """Yield the files of a page: name and text."""
    for body in blocks(page, "python"):
        head, _, _ = body.partition("\n")
        assert re.fullmatch(r"# \w+\.py", head), f"{page}: a Python block must begin with '# NAME.py', not {head}"
        yield head.removeprefix("# "), body


def commands(page: str) -> Iterator[Command]:
    """Yield the commands of a page, in order."""
    for body in blocks(page, "console"):
        for part in re.split(r"^\$ ", body, flags=re.MULTILINE)[1:]:
            line, _, output = part.partition("\n")
            yield Command(line, output)


def write_files(page: str, folder: Path) -> None:
    """Write all files of a page."""
    for name, body in files(page):
        (folder / name).write_text(body, encoding="utf-8")


def check(command: Command, folder: Path, environment: Mapping[str, str] | None = None) -> None:
    """Run a command in a folder; its output must match the page."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    ended = subprocess.run(
        ["bash", "-c", command.line],
        cwd=folder,
        env={**os.environ, **(environment or {}), "PATH": path, "COLUMNS": "120", "PYTEST_ADDOPTS": ""},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=120,
    )
    if command.output == "...\n":
        fits = ended.returncode == 0
    else:
        fits = doctest.OutputChecker().check_output(command.output, ended.stdout, doctest.ELLIPSIS)
    assert fits, f"$ {command.line}\nthe page says:\n{command.output}\nthe command says:\n{ended.stdout}"


def all_files(page: str) -> dict[str, str]:
    """Return the files of a page in all languages: path and text. Files such as a Dockerfile keep the first line."""
    found = {}
    for body in _BLOCK.finditer((DOCS / page).read_text(encoding="utf-8")):
        if head := re.match(r"# ([\w.-]+/[\w.-]+)\n", body[2]):
            found[head[1]] = body[2]
    return found


def blocks(page: str, language: str) -> list[str]:
    """Return the code blocks of a page in one language."""
    return [body for kind, body in _BLOCK.findall((DOCS / page).read_text(encoding="utf-8")) if kind == language]
