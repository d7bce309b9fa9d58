"""The image below all others: Python on Debian, pulled where a registry answers, else made from Debian's packages.

It is where security fixes of Debian come from, so it grows old: after OLD it is renewed by itself where that can be
done, and said where not. A pulled one is named by its digest, so that all images of a build stand on the same.
"""

import os
import time
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from cluster import ClusterError, nodeimage, versions
from cluster.docker import Docker
from cluster.docker.private import apt_install
from cluster.locks import lock
from cluster.paths import cache, which
from cluster.steps import run, say, step
from images import fingerprint

STOCK = "python:3.13-slim"
MADE_LABEL = "dev.podrelay.base.made"
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
OLD = timedelta(days=30)


@dataclass(frozen=True)
class Wish:
    """Which base image is wanted.

    Attributes:
        image: its name, best with a digest; None: the stock one, or our own.
        refresh: get it anew, whatever is there.
    """

    image: str | None = None
    refresh: bool = False


def provide(docker: Docker, wish: Wish | None = None) -> str:
    """Return the name of a base image that the daemon has: with its digest, if it comes from a registry.

    Raises:
        ClusterError: there is none, and none can be had.
    """
    wish = wish or Wish()
    wanted = wish.image or STOCK
    there = _named_by_digest(docker, wanted)
    if there is not None and not wish.refresh:
        return there
    archive = cache() / "images" / f"{OURS.replace(':', '-')}.tar"
    age = _age(archive)
    is_fresh = age is not None and age < OLD and not wish.refresh and wish.image is None
    if not is_fresh and _pull(docker, wanted):
        return _named_by_digest(docker, wanted) or wanted
    if wish.image is not None:
        raise ClusterError(f"{wish.image} cannot be pulled.", "Name one that a registry has, or load it into Docker.")
    if there is not None:
        raise ClusterError(f"{STOCK} cannot be pulled anew.", "Build without --refresh, or remove it from Docker.")
    return _ours(docker, archive, is_fresh=is_fresh, is_needed=wish.refresh or age is None)


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
            raise ClusterError("Docker does not take the Python base image.", "Run the command again.")
    return OURS


def _age(archive: Path) -> timedelta | None:
    return timedelta(seconds=time.time() - archive.stat().st_mtime) if archive.exists() else None


def _named_by_digest(docker: Docker, image: str) -> str | None:
    """Return the name of an image that the daemon has, None if it has not."""
    found = docker.ask("image", "inspect", "--format={{range .RepoDigests}}{{println .}}{{end}}", image)
    if found is None:
        return None
    return next(iter(found.split()), image)


def _pull(docker: Docker, image: str) -> bool:
    """Pull an image. Whether a registry answers at all is asked first, as that is quick."""
    with step(f"look for a registry that has {image}"):
        if docker.ask("manifest", "inspect", image, timeout=10) is None:
            return False
    with step(f"pull {image}", 30):
        return docker.ask("pull", "--quiet", image, timeout=600) is not None


def _make(archive: Path) -> None:
    if os.geteuid() != 0 or which("apt-get") is None:
        raise ClusterError(
            f"{STOCK} cannot be pulled, and making a base image takes root on Debian or Ubuntu.",
            f"Pull or load {STOCK} into Docker yourself.",
        )
    apt_install(set(nodeimage.missing_packages()))
    before = _age(archive)
    with lock(cache() / "locks" / "base-image", "another build of the Python base image to end"):
        now = _age(archive)
        if now is not None and (before is None or now < before):
            return  # somebody else has just made it
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
