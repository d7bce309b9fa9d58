"""Programs of this project: each is a folder with main.go, go.mod and go.sum, which has the hash of every module."""

import hashlib
import shutil
from pathlib import Path

from dev.cluster.steps import run
from dev.cluster.tools import golang

_SOURCES = Path(__file__).resolve().parent


def version(name: str) -> str:
    """Return a hash of the program's sources, so that an edited program is built again.

    Args:
        name: The name of the program and of its source folder.
    """
    content = hashlib.sha256()
    for path in sorted((_SOURCES / name).iterdir()):
        content.update(path.name.encode() + path.read_bytes())
    return content.hexdigest()[:8]


def build(name: str, folder: Path, log: Path) -> None:
    """Build a program into a folder.

    Args:
        name: The name of the program.
        folder: Where the program is written.
        log: Receives the output of the build.

    Raises:
        ClusterError: The build failed; the message contains the end of the log.
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
