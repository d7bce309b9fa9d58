"""The image below all others: Python on Debian, pulled where a registry answers, else made from Debian's packages."""

import os
from pathlib import Path

from cluster import ClusterError, nodeimage, versions
from cluster.docker import Docker
from cluster.docker.private import apt_install
from cluster.locks import lock
from cluster.paths import cache, which
from cluster.steps import run, step
from images import fingerprint

STOCK = "python:3.13-slim"
COMMAND = (
    "mmdebstrap",
    "--quiet",
    "--variant=minbase",
    "--mode=root",
    # python3-minimal would lack http.client, which the runner needs. usr-is-merged stands in for usrmerge, whose perl
    # is as large as all of Python; the hook merges /usr beforehand, as that package demands.
    "--include=python3,ca-certificates,usr-is-merged",
    "--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr",
    "--dpkgopt=path-exclude=/usr/share/doc/*",
    "--dpkgopt=path-exclude=/usr/share/man/*",
    "--dpkgopt=path-exclude=/usr/share/locale/*",
    "--dpkgopt=path-exclude=/usr/lib/*/gconv/*",
    '--customize-hook=rm -rf "$1"/var/cache/apt/* "$1"/var/lib/apt/lists/* "$1"/var/log/*',
    versions.DEBIAN,
)
OURS = f"podrelay-base:{versions.DEBIAN}-{fingerprint.of(*COMMAND)[:8]}"


def provide(docker: Docker) -> str:
    """Return the name of a base image that the daemon has."""
    for image in (STOCK, OURS):
        if docker.ask("image", "inspect", image) is not None:
            return image
    archive = cache() / "images" / f"{OURS.replace(':', '-')}.tar"
    if not archive.exists():
        if _pull(docker):
            return STOCK
        _make(archive)
    with step("load the Python base image from the cache", 5):
        if docker.ask("import", archive, OURS, timeout=120) is None:
            archive.unlink()
            raise ClusterError("Docker does not take the Python base image.", "Run the command again.")
    return OURS


def _pull(docker: Docker) -> bool:
    """Pull the stock image. Whether a registry answers at all is asked first, as that is quick."""
    with step("look for a registry that has the stock Python image"):
        if docker.ask("manifest", "inspect", STOCK, timeout=10) is None:
            return False
    with step(f"pull {STOCK}", 30):
        return docker.ask("pull", "--quiet", STOCK, timeout=600) is not None


def _make(archive: Path) -> None:
    if os.geteuid() != 0 or which("apt-get") is None:
        raise ClusterError(
            f"{STOCK} cannot be pulled, and making a base image takes root on Debian or Ubuntu.",
            f"Pull or load {STOCK} into Docker yourself.",
        )
    apt_install(set(nodeimage.missing_packages()))
    with lock(cache() / "locks" / "base-image", "another build of the Python base image to end"):
        if archive.exists():
            return
        temporary = archive.with_suffix(".unfinished.tar")
        archive.parent.mkdir(parents=True, exist_ok=True)
        log = cache() / "logs" / "base-image.log"
        log.unlink(missing_ok=True)
        hint = f"It downloads Debian packages: can apt do that here? The whole log is {log}"
        try:
            with step(f"make a Python base image from packages of Debian {versions.DEBIAN}", 25):
                run([*COMMAND, temporary], log, hint=hint)
            temporary.replace(archive)
        finally:
            temporary.unlink(missing_ok=True)
