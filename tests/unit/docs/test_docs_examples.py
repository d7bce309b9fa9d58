"""Code blocks of the pages that need no cluster do what the page says."""

import re
from pathlib import Path

import pytest

from tests.support import docpages

PAGES = ("tasks.md", "testing.md")


@pytest.mark.parametrize(
    ("page", "command"),
    [(page, command) for page in PAGES for command in docpages.commands(page)],
    ids=lambda value: getattr(value, "line", value),
)
def test_a_command_prints_what_the_page_says(page: str, command: docpages.Command, tmp_path: Path) -> None:
    docpages.write_files(page, tmp_path)

    docpages.check(command, tmp_path)


@pytest.mark.parametrize("page", PAGES)
def test_every_example_of_a_page_is_run(page: str) -> None:
    run = " ".join(command.line for command in docpages.commands(page))

    names = [name for name, _ in docpages.files(page)]
    assert names
    assert [name for name in names if not re.search(rf"\b{Path(name).stem}[.:]", run)] == []
