"""The folders that are copied into images: dependencies by the base image's Python version, and podrelay itself.

They are put together on the host by pip, for the Python of the image, which may be another than the host's.
"""

import hashlib
import os
import platform
import shutil
import sys
import tomllib
from pathlib import Path

from cluster.steps import run, step

ROOT = Path(__file__).resolve().parent.parent
BUILD = Path("build/images")
"""Below the root of the repository, because Docker copies from there only."""
_LOG = ROOT / BUILD / "pip.log"


def fingerprint(*parts: str | bytes | Path) -> str:
    """Return a hash over texts and over the files below folders."""
    total = hashlib.sha256()
    for part in parts:
        if isinstance(part, Path):
            for file in sorted(path for path in ([part] if part.is_file() else part.rglob("*")) if path.is_file()):
                if "__pycache__" not in file.parts:
                    total.update(str(file).encode() + b"\0" + file.read_bytes() + b"\0")
        else:
            total.update((part if isinstance(part, bytes) else part.encode()) + b"\0")
    return total.hexdigest()[:16]


def dependencies(extra: str, python: str) -> Path:
    """Return the folder with what podrelay[extra] needs, relative to the root, for Python `python` (such as 3.11)."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [*project["dependencies"], *(project["optional-dependencies"][extra] if extra else ())]
    folder = BUILD / f"lib-{extra or 'base'}-{python}-{fingerprint(*wanted)}"
    if not (ROOT / folder).exists():
        with step(f"fetch the packages of {f'podrelay[{extra}]' if extra else 'podrelay'} for Python {python}", 20):
            _install(folder, python, wanted)
        for stale in (ROOT / BUILD).glob(f"lib-{extra or 'base'}-*"):
            if stale.name != folder.name:
                shutil.rmtree(stale)
    return folder


def own() -> Path:
    """Return the folder with podrelay itself, relative to the root."""
    source = fingerprint(ROOT / "operator" / "podrelay", ROOT / "pyproject.toml")
    folder = BUILD / f"own-{source}"
    if not (ROOT / folder).exists():
        with step("put podrelay itself together"):
            _install(folder, "", ["--no-deps", str(ROOT)])
        for stale in (ROOT / BUILD).glob("own-*"):
            if stale.name != folder.name:
                shutil.rmtree(stale)
    return folder


def _install(folder: Path, python: str, wanted: list[str]) -> None:
    machine = platform.machine()
    target = [
        f"--python-version={python}",
        "--implementation=cp",
        "--only-binary=:all:",
        f"--platform=manylinux2014_{machine}",
        f"--platform=manylinux_2_28_{machine}",
    ]
    temporary = ROOT / folder.with_name(f".{folder.name}.{os.getpid()}")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--no-compile", "--quiet"]
    try:
        run([*pip, "--target", temporary, *(target if python else []), *wanted], _LOG, cwd=ROOT)
        shutil.rmtree(temporary / "bin", ignore_errors=True)
        temporary.rename(ROOT / folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
