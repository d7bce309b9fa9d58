"""The package before protocol versions were introduced: its runner and operator have version 1."""

import io
import os
import subprocess
import tarfile
from pathlib import Path

import pytest

COMMIT = "6f0b272705c8444b358a5f944c07d9c907244e82"
ROOT = Path(__file__).parents[2]


def old_package(folder: Path) -> Path:
    """Return a folder for PYTHONPATH with the old package; the test is skipped in a shallow clone."""
    archived = subprocess.run(["git", "archive", COMMIT, "operator"], cwd=ROOT, capture_output=True, check=False)
    if archived.returncode != 0:
        pytest.skip(f"this clone lacks the commit {COMMIT}: git fetch --unshallow")
    with tarfile.open(fileobj=io.BytesIO(archived.stdout)) as tar:
        tar.extractall(folder, filter="data")
    return folder / "operator"


def environment(package: Path) -> dict[str, str]:
    """Return environment variables that let a process import the old package instead of the installed one."""
    return {"PYTHONPATH": str(package), "PYTHONDONTWRITEBYTECODE": "1", "PATH": os.environ["PATH"]}
