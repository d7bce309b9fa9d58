"""The paths and names of this checkout, and the cache that all checkouts of this user share.

Everything that runs belongs to one checkout. Names that must be unique on the machine (of a network namespace, a
cgroup, a Docker cluster, a /30 subnet) are derived from a short hash of the checkout's path, so checkouts do not
collide.
"""

import hashlib
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
CHECKOUT = PACKAGE.parents[1]


@dataclass(frozen=True, slots=True)
class Checkout:
    """The folders and names of one checkout of the repository."""

    root: Path

    @property
    def ident(self) -> str:
        """Eight hex digits that identify this checkout on this machine."""
        return hashlib.sha256(os.fsencode(self.root)).hexdigest()[:8]

    @property
    def name(self) -> str:
        """The name of everything that exists once for each checkout."""
        return f"podrelay-{self.ident}"

    @property
    def state(self) -> Path:
        """The folder for kubeconfigs, logs, certificates and process ids of this checkout's clusters."""
        return self.root / ".cluster"

    @property
    def bin(self) -> Path:
        """The folder with links to the tools that this checkout uses, to be put in front of PATH."""
        return self.state / "bin"

    @property
    def docker(self) -> Path:
        """The folder for data and sockets of the private dockerd.

        It is not below the checkout, because the path of a unix socket has at most 107 characters and dockerd extends
        it.
        """
        return Path("/var/lib/podrelay") / self.ident

    def of(self, kind: str) -> Path:
        """Return the folder of one kind of cluster."""
        return self.state / kind


def here() -> Checkout:
    """Return the checkout that this file belongs to."""
    return Checkout(CHECKOUT)


def cache() -> Path:
    """Return the folder of what is built once for all checkouts: tools by version, the node image."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "podrelay"


def make_private(folder: Path) -> Path:
    """Create a folder and its parents, accessible only to this user, because it will contain keys."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    return folder


def write_atomic(path: Path, text: str, mode: int = 0o600) -> None:
    """Write a file so that readers see either the old or the complete new content."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(text)
    temporary.chmod(mode)
    temporary.replace(path)


def link(tool: Path, name: str | None = None, checkout: Checkout | None = None) -> Path:
    """Link a tool into this checkout's folder of tools, and return the link."""
    folder = (checkout or here()).bin
    folder.mkdir(parents=True, exist_ok=True)
    place = folder / (name or tool.name)
    temporary = place.with_name(f".{place.name}.{os.getpid()}")
    temporary.symlink_to(tool)
    temporary.replace(place)
    return place


def which(program: str) -> str | None:
    """Return the path of a program as a root shell finds it: a user's PATH often lacks the sbin folders."""
    path = os.environ.get("PATH", os.defpath)
    return shutil.which(program, path=f"{path}:/usr/local/sbin:/usr/sbin:/sbin")
