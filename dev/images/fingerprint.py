"""Hashes that show whether the inputs of an image have changed."""

import hashlib
from collections.abc import Iterable
from pathlib import Path


def of(*values: str) -> str:
    """Return a hash of texts, which also depends on their order."""
    total = hashlib.sha256()
    for value in values:
        total.update(f"{len(value)} {value}".encode())
    return total.hexdigest()[:16]


def of_files(root: Path, files: Iterable[Path]) -> str:
    """Return a hash of the contents of files and their paths relative to `root`."""
    lines = (f"{file.relative_to(root)} {hashlib.sha256(file.read_bytes()).hexdigest()}" for file in sorted(files))
    return of(*lines)


def files_below(folder: Path, pattern: str = "*") -> list[Path]:
    """Return the files below a folder, without compiled Python files."""
    return [path for path in folder.rglob(pattern) if path.is_file() and "__pycache__" not in path.parts]
