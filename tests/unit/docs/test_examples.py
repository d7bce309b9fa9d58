"""The code blocks of the pages that need no cluster do what the page says."""

import re
from pathlib import Path

import pytest

from dev.images import locked
from tests.support import docpages

PAGES = ("tasks.md", "testing.md", "signals.md")


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


def test_the_task_of_the_readme_runs(tmp_path: Path) -> None:
    page = "../README.md"
    docpages.write_files(page, tmp_path)

    docpages.check(docpages.Command("podrelay run tasks.py 2>/dev/null", '{\n  "rows": 250\n}\n'), tmp_path)


def test_the_page_on_images_says_which_pydantic_podrelay_needs() -> None:
    (needed,) = (one for one in locked.project()["dependencies"] if one.startswith("pydantic"))

    oldest, newer = re.fullmatch(r"pydantic>=([\d.]+),<([\d.]+)", needed).groups()  # type: ignore[union-attr]
    page = " ".join((docpages.DOCS / "task-images.md").read_text(encoding="utf-8").split())
    assert f"needs {oldest} or newer, and older than {newer}" in page


def test_the_readme_links_all_pages() -> None:
    root = docpages.DOCS.parent
    linked = re.findall(r"\]\(([^)#]+)[^)]*\)", (root / "README.md").read_text(encoding="utf-8"))

    assert [name for name in linked if "://" not in name and not (root / name).exists()] == []
    pages = {f"docs/{page.name}" for page in docpages.DOCS.glob("*.md")}
    assert pages - set(linked) == set()
