"""Copies the Markdown pages of the repository into a folder, at the same paths, so that their links stay as they are.

MkDocs reads one folder only. What a page links to is copied, too; links to folders lead to the README of the folder.
"""

import re
import shutil
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[3]
_LINK: Final = re.compile(r"(\]\()([^)#\s:]+)((?:#[^)\s]*)?\))")


def pages() -> list[Path]:
    """Return the paths of all pages, relative to the repository."""
    listed = subprocess.run(["git", "ls-files", "*.md"], cwd=ROOT, capture_output=True, text=True, check=True)
    return [Path(name) for name in listed.stdout.splitlines()]


def linked_files() -> set[Path]:
    """Return the paths of the files that pages link to, pages themselves excepted."""
    return {linked for page in pages() for linked in _other_files((ROOT / page).read_text(encoding="utf-8"), page)}


def stage(folder: Path) -> None:
    """Copy all pages, and the files that they link to, into an empty folder."""
    for page in pages():
        text = (ROOT / page).read_text(encoding="utf-8")
        place = folder / page
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(_LINK.sub(partial(_to_file, page), text), encoding="utf-8")
    for linked in linked_files():
        (folder / linked).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / linked, folder / linked)


def _to_file(page: Path, match: re.Match[str]) -> str:
    is_folder = (ROOT / page.parent / match[2]).is_dir()
    return f"{match[1]}{match[2].rstrip('/')}/README.md{match[3]}" if is_folder else match[0]


def _other_files(text: str, page: Path) -> Iterator[Path]:
    for match in _LINK.finditer(text):
        target = (ROOT / page.parent / match[2]).resolve()
        if target.is_file() and target.suffix != ".md":
            yield target.relative_to(ROOT)
