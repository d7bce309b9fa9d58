"""Programs of our own, each a folder here with its main.go, go.mod and go.sum, which holds every module to its hash."""

import hashlib
import shutil
from pathlib import Path

from cluster.steps import run
from cluster.tools import golang

_SOURCES = Path(__file__).resolve().parent


def version(name: str) -> str:
    """A hash of the program's sources: what is edited is built anew.

    Args:
        name: The program, and the folder of its sources.
    """
    content = hashlib.sha256()
    for path in sorted((_SOURCES / name).iterdir()):
        content.update(path.name.encode() + path.read_bytes())
    return content.hexdigest()[:8]


def build(name: str, folder: Path, log: Path) -> None:
    """Build a program into a folder.

    Args:
        name: The program.
        folder: Where it is put.
        log: What the build prints.

    Raises:
        ClusterError: The build failed; the message holds the end of the log.
    """
    module = folder / "module"
    shutil.copytree(_SOURCES / name, module)
    command: list[str | Path] = [
        golang.go(),
        "build",
        "-mod=readonly",
        "-trimpath",
        "-ldflags",
        "-s -w",
        "-o",
        folder / name,
        ".",
    ]
    run(command, log, cwd=module, env=golang.environment(), hint=golang.HINT)
    shutil.rmtree(module)
