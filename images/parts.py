"""The folders that the Dockerfile copies, put together on the host by pip, so that Docker needs no network.

    build/images/task       what a task needs: the dependencies of podrelay
    build/images/operator   what every part of podrelay needs: the dependencies of podrelay[operator,gateway,cli]
    build/images/task-build pip, for the images that tasks are built with
    build/images/podrelay   podrelay itself and its commands, as it lies over the root of the image
    build/images/graphiql   GraphiQL for the gateway, likewise; empty where npm is missing
    build/images/primes     the program of examples/go, and its Dockerfile

The dependencies are wheels for the Python of the image, which may be another than the host's: those of the image's lock
(`images.locked`), each held to its hash. Beside each folder a stamp says what it was made of; a folder whose stamp is
still right is left alone, so a new lock makes a new folder.
"""

import platform
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from cluster import ClusterError
from cluster.steps import run, say, step
from cluster.tools import golang
from images import fingerprint, locked
from tools.graphiql import build as page

ROOT = locked.ROOT
BUILD = ROOT / "build" / "images"
"""Below the root of the repository, because that is what Docker copies from."""
LIBRARY = "opt/podrelay/lib"
COMMANDS = "usr/local/bin"
SOURCE = ROOT / "operator" / "podrelay"
STATIC = "podrelay/gateway/static"
"""What the gateway serves, below the library and below operator/: tasks need none of it."""
_UNUSED = ("bin", "kubernetes/aio")
"""What packages bring and nobody uses: commands that name the host's Python; a second client, as large as the first."""
_SETTINGS = ROOT / "pyproject.toml"
_LOG = BUILD / "pip.log"


def task(python: str) -> str:
    """Bring the dependencies of tasks up to date, for Python `python` (such as 3.13); return their stamp."""
    return _dependencies("task", python)


def operator(python: str) -> str:
    """Bring the dependencies of operator, gateway and commands up to date, for Python `python`; return their stamp."""
    return _dependencies("operator", python)


def task_build(python: str) -> str:
    """Bring pip up to date, for Python `python`; return its stamp."""
    return _dependencies("task-build", python)


def podrelay() -> str:
    """Bring the copy of podrelay itself up to date; return its stamp."""
    sources = [file for file in fingerprint.files_below(SOURCE) if not file.is_relative_to(SOURCE.parent / STATIC)]
    stamp = fingerprint.of_files(ROOT, [*sources, _SETTINGS])

    def make(folder: Path) -> None:
        _pip("--target", folder / LIBRARY, "--no-deps", ROOT)
        shutil.rmtree(folder / LIBRARY / "bin", ignore_errors=True)  # pip's own commands name the host's Python
        shutil.rmtree(folder / LIBRARY / STATIC, ignore_errors=True)
        for name, target in locked.project()["scripts"].items():
            write_command(folder / COMMANDS / name, target)

    return _ensure("podrelay", stamp, "put podrelay itself together", make)


def graphiql() -> str:
    """Bring GraphiQL up to date if npm can be used, else say that the image goes without it; return its stamp."""
    source = SOURCE.parent / STATIC
    try:
        page.ensure()
    except ClusterError as error:
        say(f"the image goes without GraphiQL: {error.message.partition('. ')[0]}")
        return _ensure("graphiql", "none", "leave GraphiQL out", Path.mkdir)

    def make(folder: Path) -> None:
        shutil.copytree(source, folder / LIBRARY / STATIC)

    stamp = fingerprint.of_files(source, fingerprint.files_below(source))
    return _ensure("graphiql", stamp, "put GraphiQL beside podrelay", make)


def primes() -> str:
    """Compile the example in Go, and put its Dockerfile beside it; return their stamp."""
    source = ROOT / "examples" / "go"
    files = [source / name for name in ("go.mod", "primes.go", "Dockerfile")]
    stamp = fingerprint.of_files(ROOT, files)

    def make(folder: Path) -> None:
        folder.mkdir()
        shutil.copy(source / "Dockerfile", folder)
        command = (golang.go(), "build", "-trimpath", "-ldflags=-s -w", "-o", folder / "primes", ".")
        run([*command], BUILD / "go.log", cwd=source, env=golang.environment())

    return _ensure("primes", stamp, "compile the example in Go", make)


def write_command(file: Path, target: str) -> None:
    """Write the script of a command whose function is `target`, such as podrelay.cli.main:main."""
    module, _, function = target.partition(":")
    file.parent.mkdir(parents=True, exist_ok=True)
    text = f"#!/usr/bin/env python3\nimport sys\n\nfrom {module} import {function}\n\nsys.exit({function}())\n"
    file.write_text(text, encoding="utf-8")
    file.chmod(0o755)


def _dependencies(name: str, python: str) -> str:
    lock = locked.file(name)
    machine = platform.machine()
    wheels = [
        f"--python-version={python}",
        "--implementation=cp",
        "--only-binary=:all:",
        f"--platform=manylinux2014_{machine}",
        f"--platform=manylinux_2_28_{machine}",
    ]

    def make(folder: Path) -> None:
        _pip("--target", folder, *wheels, "--no-deps", "--require-hashes", "--requirement", lock)
        for unused in _UNUSED:
            shutil.rmtree(folder / unused, ignore_errors=True)

    stamp = fingerprint.of(*wheels, *_UNUSED, lock.read_text(encoding="utf-8"))
    return _ensure(name, stamp, f"fetch what the image {name} needs for Python {python}", make)


def _ensure(name: str, stamp: str, title: str, make: Callable[[Path], None]) -> str:
    """Make a folder anew unless its stamp is the wanted one. It is never there half full under its own name."""
    folder, note = BUILD / name, BUILD / f"{name}.stamp"
    if folder.exists() and note.exists() and note.read_text(encoding="utf-8") == stamp:
        return stamp
    unfinished = BUILD / f"{name}.unfinished"
    shutil.rmtree(unfinished, ignore_errors=True)
    with step(title, 10):
        make(unfinished)
    note.unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)
    unfinished.rename(folder)
    note.write_text(stamp, encoding="utf-8")
    return stamp


def _pip(*arguments: str | Path) -> None:
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--no-compile", "--quiet")
    hint = f"pip downloads from the package index that it is set up for. The whole log is {_LOG}"
    run([*pip, *arguments], _LOG, cwd=ROOT, hint=hint)
