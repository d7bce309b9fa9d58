"""The image below all others: Python on Debian, pulled where a registry answers, else made from Debian's packages."""

import os
from pathlib import Path

from cluster import ClusterError
from cluster.docker import Docker
from cluster.docker.private import apt_install
from cluster.paths import cache, which
from cluster.steps import run, step

STOCK = "python:3.13-slim"
OURS = "podrelay-local/python:bookworm"
SUITE = "bookworm"
PACKAGES = "python3,ca-certificates"
"""python3-minimal would lack http.client, which the runner needs."""


def provide(docker: Docker) -> str:
    """Return the name of a base image that the daemon has."""
    for image in (STOCK, OURS):
        if docker.ask("image", "inspect", image) is not None:
            return image
    archive = cache() / "images" / f"python-{SUITE}.tar"
    if not archive.exists():
        with step("look for a registry that has the stock Python image"):
            pullable = docker.ask("manifest", "inspect", STOCK, timeout=10) is not None
        if pullable:
            with step(f"pull {STOCK}", 30):
                if docker.ask("pull", "--quiet", STOCK, timeout=600) is not None:
                    return STOCK
        _make(archive)
    with step("load the Python base image from the cache", 5):
        if docker.ask("import", archive, OURS, timeout=120) is None:
            archive.unlink()
            raise ClusterError("Docker does not take the Python base image.", "Run the command again.")
    return OURS


def _make(archive: Path) -> None:
    if os.geteuid() != 0 or which("apt-get") is None:
        raise ClusterError(
            f"{STOCK} cannot be pulled, and making a base image takes root on Debian or Ubuntu.",
            f"Pull or load {STOCK} into Docker yourself.",
        )
    if which("mmdebstrap") is None:
        apt_install({"mmdebstrap"})
    temporary = archive.with_suffix(f".{os.getpid()}.tar")
    archive.parent.mkdir(parents=True, exist_ok=True)
    command = [
        which("mmdebstrap") or "mmdebstrap",
        "--quiet",
        "--variant=minbase",
        "--mode=root",
        f"--include={PACKAGES}",
        "--dpkgopt=path-exclude=/usr/share/doc/*",
        "--dpkgopt=path-exclude=/usr/share/man/*",
        "--dpkgopt=path-exclude=/usr/share/locale/*",
        '--customize-hook=rm -rf "$1"/var/cache/apt/* "$1"/var/lib/apt/lists/*',
        SUITE,
        str(temporary),
    ]
    try:
        with step("make a Python base image from Debian packages", 25):
            run(command, cache() / "logs" / "python-base.log")
        temporary.replace(archive)
    finally:
        temporary.unlink(missing_ok=True)
