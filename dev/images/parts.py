"""The folders that the Dockerfile copies, prepared on the host by pip, so that Docker does not need a network.

    build/images/task       packages for tasks: the dependencies of podrelay
    build/images/operator   packages for all of podrelay: the dependencies of podrelay[operator,gateway,cli]
    build/images/task-build pip, for the images that tasks are built with
    build/images/podrelay   podrelay itself and its commands, with paths relative to the root of the image
    build/images/pages      the web pages of the gateway, likewise; empty if npm is missing
    build/images/primes     the program of examples/go, and its Dockerfile

The dependencies are wheels for the Python of the image, which may differ from the host's: those in the image's lock
(`images.locked`), verified by their hashes. A stamp next to each folder identifies its contents; a folder with a
current stamp is left alone, and a new lock leads to a new folder.
"""

import platform
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from dev.cluster import ClusterError
from dev.cluster.steps import run, say, step
from dev.cluster.tools import golang
from dev.images import fingerprint, locked
from dev.pages.build import PAGES
from dev.pages.build import ensure as build_page

ROOT = locked.ROOT
BUILD = ROOT / "build" / "images"
"""Below the root of the repository, because Docker copies from there."""
LIBRARY = "opt/podrelay/lib"
COMMANDS = "usr/local/bin"
SOURCE = ROOT / "operator" / "podrelay"
STATIC = "podrelay/gateway/static"
"""The files that the gateway serves, below the library and below operator/; tasks do not need them."""
_UNUSED = ("bin", "kubernetes/aio")
"""Unused files of packages: commands that name the host's Python, and a second client as large as the first."""
_SETTINGS = ROOT / "pyproject.toml"
_LOG = BUILD / "pip.log"


def task(python: str) -> str:
    """Update the dependencies of tasks, for Python `python` (such as 3.13); return their stamp."""
    return _dependencies("task", python)


def operator(python: str) -> str:
    """Update the dependencies of operator, gateway and commands, for Python `python`; return their stamp."""
    return _dependencies("operator", python)


def task_build(python: str) -> str:
    """Update pip, for Python `python`; return its stamp."""
    return _dependencies("task-build", python)


def podrelay() -> str:
    """Update the copy of podrelay itself; return its stamp."""
    sources = [file for file in fingerprint.files_below(SOURCE) if not file.is_relative_to(SOURCE.parent / STATIC)]
    stamp = fingerprint.of_files(ROOT, [*sources, _SETTINGS])

    def make(folder: Path) -> None:
        _pip("--target", folder / LIBRARY, "--no-deps", ROOT)
        shutil.rmtree(folder / LIBRARY / "bin", ignore_errors=True)  # pip's own commands name the host's Python
        shutil.rmtree(folder / LIBRARY / STATIC, ignore_errors=True)
        for name, target in locked.project()["scripts"].items():
            write_command(folder / COMMANDS / name, target)

    return _ensure("podrelay", stamp, "prepare podrelay itself", make)


def pages() -> str:
    """Update the web pages if npm can be used, otherwise report that the image is built without; return their stamp."""
    built: dict[str, Path] = {}
    for name, page in PAGES.items():
        try:
            built[name] = build_page(page)
        except ClusterError as error:
            say(f"the image is built without {page.title}: {error.message.partition('. ')[0]}")

    def make(folder: Path) -> None:
        folder.mkdir()
        for name, place in built.items():
            shutil.copytree(place, folder / LIBRARY / STATIC / name)

    stamps = [fingerprint.of_files(place, fingerprint.files_below(place)) for place in built.values()]
    return _ensure("pages", fingerprint.of(*built, *stamps), "add the web pages to podrelay", make)


def primes() -> str:
    """Compile the example in Go, and copy its Dockerfile next to it; return their stamp."""
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
    """Write the script of a command that calls the function `target`, such as podrelay.cli.main:main."""
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
    return _ensure(name, stamp, f"download packages of the image {name} for Python {python}", make)


def _ensure(name: str, stamp: str, title: str, make: Callable[[Path], None]) -> str:
    """Create a folder again unless its stamp is current. A folder never has its final name before it is complete."""
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
    hint = f"pip downloads from the package index in its configuration. The whole log is {_LOG}"
    run([*pip, *arguments], _LOG, cwd=ROOT, hint=hint)
