"""Code blocks of the documentation do what the page says.

A Python block that begins with `# NAME.py` is a file. A console block is a list of commands (`$ ...`), each followed by
what it prints on stdout and stderr, with `...` for whatever differs.
"""

import doctest
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

DOCS = Path(__file__).parents[3] / "docs"
PAGES = ("tasks.md", "testing.md")
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class Command(NamedTuple):
    """A command, and what the page says that it prints."""

    line: str
    output: str


def blocks(page: str, language: str) -> list[str]:
    return [body for kind, body in _BLOCK.findall((DOCS / page).read_text(encoding="utf-8")) if kind == language]


def files(page: str) -> Iterator[tuple[str, str]]:
    for body in blocks(page, "python"):
        head, _, _ = body.partition("\n")
        assert re.fullmatch(r"# \w+\.py", head), f"{page}: a Python block has to begin with '# NAME.py', not {head}"
        yield head.removeprefix("# "), body


def commands() -> Iterator[tuple[str, Command]]:
    for page in PAGES:
        for body in blocks(page, "console"):
            for part in re.split(r"^\$ ", body, flags=re.MULTILINE)[1:]:
                line, _, output = part.partition("\n")
                yield page, Command(line, output)


@pytest.mark.parametrize(("page", "command"), list(commands()), ids=lambda value: getattr(value, "line", value))
def test_a_command_prints_what_the_page_says(page: str, command: Command, tmp_path: Path) -> None:
    for name, body in files(page):
        (tmp_path / name).write_text(body, encoding="utf-8")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "COLUMNS": "120", "PYTEST_ADDOPTS": ""}

    ended = subprocess.run(
        ["bash", "-c", command.line],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=120,
    )

    fits = doctest.OutputChecker().check_output(command.output, ended.stdout, doctest.ELLIPSIS)
    assert fits, f"the page says:\n{command.output}\nthe command says:\n{ended.stdout}"


@pytest.mark.parametrize("page", PAGES)
def test_every_example_of_a_page_is_run(page: str) -> None:
    run = " ".join(command.line for of, command in commands() if of == page)

    names = [name for name, _ in files(page)]
    assert names
    assert [name for name in names if not re.search(rf"\b{Path(name).stem}[.:]", run)] == []
