"""The locks of the images: the exact packages in each, with the hashes of all files that the index has.

`make lock` writes them from the ranges of pyproject.toml; `make check` reports, without a network, if the two no longer
match; `images.parts` installs only these packages. They are resolved for Linux and the Python of the base images; the
hashes are those of the files for every architecture.
"""

import hashlib
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT: Final = Path(__file__).resolve().parents[2]
FOLDER: Final = Path(__file__).resolve().parent / "locks"
EXTRAS: Final[dict[str, tuple[str, ...]]] = {"task": (), "operator": ("operator", "gateway", "cli")}
"""The extras of podrelay whose dependencies are in each image."""
TOOLS: Final[dict[str, tuple[str, ...]]] = {"task-build": ("pip>=25.3,<27",)}
"""Other packages in each image, which are needed for builds and not by podrelay."""
LOCKS: Final = (*EXTRAS, *TOOLS)
"""The images that have a lock."""
PYTHON: Final = "3.13"
"""The Python of python:3.13-slim and of Debian trixie."""
_RANGES: Final = "# For the ranges of pyproject.toml with the hash "
_PINNED: Final = re.compile(
    r"^([A-Za-z0-9._-]+)==(\S+) \\\n((?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)", re.MULTILINE
)


def project() -> dict[str, Any]:
    """Return the table `project` of pyproject.toml."""
    table: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return table


def wanted(about: dict[str, Any], image: str) -> list[str]:
    """Return the requirements for the lock of an image, from the table `project` of pyproject.toml."""
    return [*TOOLS[image]] if image in TOOLS else requirements(about, EXTRAS[image])


def requirements(about: dict[str, Any], extras: tuple[str, ...]) -> list[str]:
    """Return the requirements of a project with these extras, from its table in pyproject.toml."""
    wanted = [*about["dependencies"], *(one for extra in extras for one in _of_extra(about, extra))]
    return [*dict.fromkeys(wanted)]


def _of_extra(about: dict[str, Any], extra: str) -> Iterator[str]:
    """Yield the requirements of an extra, including those of extras in it such as podrelay[client]."""
    for one in about["optional-dependencies"][extra]:
        requirement = Requirement(one)
        if canonicalize_name(requirement.name) == canonicalize_name(about["name"]):
            for inner in sorted(requirement.extras):
                yield from _of_extra(about, inner)
        else:
            yield one


def file(image: str) -> Path:
    """Return the path of the lock of an image."""
    return FOLDER / f"{image}.txt"


def head(wanted: list[str]) -> str:
    """Return the first lines of a lock, which identify the ranges it was made for."""
    return f"# Written by `make lock`; do not edit.\n{_RANGES}{_hash(wanted)}.\n"


def pinned(text: str) -> dict[str, str]:
    """Return the versions of the packages that a lock has with hashes, by name."""
    return {canonicalize_name(name): version for name, version, _ in _PINNED.findall(text)}


def problems(text: str, wanted: list[str]) -> list[str]:
    """Return the reasons why a lock does not match these ranges, in plain text."""
    versions = pinned(text)
    found = []
    unread = [line for line in _PINNED.sub("", text).splitlines() if line and not line.startswith("#")]
    if unread:
        found.append(f"{unread[0].strip()!r} is not a package with a version and hashes")
    for requirement in map(Requirement, wanted):
        version = versions.get(canonicalize_name(requirement.name))
        if version is None:
            found.append(f"{requirement.name} is missing")
        elif not requirement.specifier.contains(version, prereleases=True):
            found.append(f"{requirement.name} {version} is not {requirement.specifier}")
    if not found and not text.startswith(head(wanted)):
        found.append("the ranges of pyproject.toml have changed")
    return found


def _hash(wanted: list[str]) -> str:
    return hashlib.sha256("\n".join(sorted(wanted)).encode()).hexdigest()[:16]
