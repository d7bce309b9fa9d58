"""The base of all images: Python on Debian, pulled from a registry if possible, otherwise built from Debian packages.

It contains the security fixes of Debian, so it is renewed automatically when it is older than OLD; if that fails, a
message says so. A pulled image is referenced by its digest, so that all images of a build have the same base.
"""

import os
import time
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from dev.cluster import ClusterError, nodeimage, versions
from dev.cluster.docker import Docker
from dev.cluster.docker.private import apt_install
from dev.cluster.locks import lock
from dev.cluster.paths import cache, which
from dev.cluster.steps import run, say, step
from dev.images import fingerprint

STOCK = "python:3.13-slim"
MADE_LABEL = "dev.podrelay.base.made"
COMMAND = (
    "mmdebstrap",
    "--quiet",
    "--variant=minbase",
    "--mode=root",
    # python3-minimal lacks http.client, which the runner needs. usr-is-merged replaces usrmerge, whose dependency perl
    # is as large as all of Python; the hook merges /usr beforehand, as usr-is-merged requires.
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
OLD = timedelta(days=30)


@dataclass(frozen=True)
class WantedBase:
    """The base image to use.

    Attributes:
        image: its name, preferably with a digest; None for the standard one, or one that is built here.
        refresh: renew it even if the daemon has one.
    """

    image: str | None = None
    refresh: bool = False


def provide(docker: Docker, wanted: WantedBase | None = None) -> str:
    """Provide a base image in the daemon, and return its name: with the digest, if it comes from a registry.

    Raises:
        ClusterError: no base image can be pulled or built.
    """
    wanted = wanted or WantedBase()
    name = wanted.image or STOCK
    local = _named_by_digest(docker, name)
    if local is not None and not wanted.refresh:
        return local
    archive = cache() / "images" / f"{OURS.replace(':', '-')}.tar"
    age = _age(archive)
    is_fresh = age is not None and age < OLD and not wanted.refresh and wanted.image is None
    if not is_fresh and _pull(docker, name):
        return _named_by_digest(docker, name) or name
    if wanted.image is not None:
        raise ClusterError(
            f"{wanted.image} cannot be pulled.", "Name an image that a registry has, or load it into Docker."
        )
    if local is not None:
        raise ClusterError(f"{STOCK} cannot be pulled again.", "Build without --refresh, or remove it from Docker.")
    return _ours(docker, archive, is_fresh=is_fresh, is_needed=wanted.refresh or age is None)


def _ours(docker: Docker, archive: Path, *, is_fresh: bool, is_needed: bool) -> str:
    if not is_fresh:
        try:
            _make(archive)
        except ClusterError as error:
            if is_needed:
                raise
            say(f"the Python base image is older than {OLD.days} days and cannot be renewed: {error.message}")
    made = str(int(archive.stat().st_mtime))
    known = docker.ask("image", "inspect", f'--format={{{{index .Config.Labels "{MADE_LABEL}"}}}}', OURS)
    if known is not None and known.strip() == made:
        return OURS
    with step("load the Python base image from the cache", 5):
        label = f"--change=LABEL {MADE_LABEL}={made}"
        if docker.ask("import", label, archive, OURS, timeout=120) is None:
            archive.unlink()
            raise ClusterError("Docker cannot import the Python base image.", "Run the command again.")
    return OURS


def _age(archive: Path) -> timedelta | None:
    return timedelta(seconds=time.time() - archive.stat().st_mtime) if archive.exists() else None


def _named_by_digest(docker: Docker, image: str) -> str | None:
    """Return the name of an image with its digest, None if the daemon does not have it."""
    found = docker.ask("image", "inspect", "--format={{range .RepoDigests}}{{println .}}{{end}}", image)
    if found is None:
        return None
    return next(iter(found.split()), image)


def _pull(docker: Docker, image: str) -> bool:
    """Pull an image. Checks first whether a registry responds at all, which is quick."""
    with step(f"look for a registry that has {image}"):
        if docker.ask("manifest", "inspect", image, timeout=10) is None:
            return False
    with step(f"pull {image}", 30):
        return docker.ask("pull", "--quiet", image, timeout=600) is not None


def _make(archive: Path) -> None:
    if os.geteuid() != 0 or which("apt-get") is None:
        raise ClusterError(
            f"{STOCK} cannot be pulled, and building a base image needs root on Debian or Ubuntu.",
            f"Pull or load {STOCK} into Docker yourself.",
        )
    apt_install(set(nodeimage.missing_packages()))
    before = _age(archive)
    with lock(cache() / "locks" / "base-image", "another build of the Python base image to end"):
        now = _age(archive)
        if now is not None and (before is None or now < before):
            return  # another process has just built it
        temporary = archive.with_suffix(".unfinished.tar")
        archive.parent.mkdir(parents=True, exist_ok=True)
        log = cache() / "logs" / "base-image.log"
        log.unlink(missing_ok=True)
        hint = f"The build downloads Debian packages; check that apt can do that here. The whole log is {log}"
        try:
            with step(f"build a Python base image from packages of Debian {versions.DEBIAN}", 25):
                run([*COMMAND, temporary], log, hint=hint)
            temporary.replace(archive)
        finally:
            temporary.unlink(missing_ok=True)
