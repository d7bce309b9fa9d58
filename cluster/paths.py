"""Where things are: what belongs to this checkout, and what all checkouts of this user share.

Everything that runs belongs to one checkout. Whatever needs a name that is unique on the machine (a network namespace,
a cgroup, a Docker cluster, a /30 subnet) takes it from a short hash of the checkout's path, so two never meet.
"""

import hashlib
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
CHECKOUT = PACKAGE.parent


@dataclass(frozen=True, slots=True)
class Checkout:
    """The folders and names of one checkout of the repository."""

    root: Path

    @property
    def ident(self) -> str:
        """Eight hex digits that stand for this checkout on this machine."""
        return hashlib.sha256(os.fsencode(self.root)).hexdigest()[:8]

    @property
    def name(self) -> str:
        """The name of whatever there is one of for each checkout."""
        return f"podrelay-{self.ident}"

    @property
    def state(self) -> Path:
        """What this checkout's clusters keep: kubeconfigs, logs, certificates, process ids."""
        return self.root / ".cluster"

    @property
    def bin(self) -> Path:
        """Links to the tools that this checkout uses: one folder to put in front of PATH."""
        return self.state / "bin"

    @property
    def docker(self) -> Path:
        """Data and sockets of the private dockerd.

        Not below the checkout: a unix socket's path has 107 characters at most, and dockerd adds to it.
        """
        return Path("/var/lib/podrelay") / self.ident

    def of(self, kind: str) -> Path:
        """The state of one kind of cluster."""
        return self.state / kind


def here() -> Checkout:
    """The checkout that this very file is in."""
    return Checkout(CHECKOUT)


def cache() -> Path:
    """What was built once and serves every checkout: tools by version, the node image."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "podrelay"


def make_private(folder: Path) -> Path:
    """Make a folder, with its parents, that only this user may enter: it will hold keys."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    return folder


def write_atomic(path: Path, text: str, mode: int = 0o600) -> None:
    """Write a file that readers see either as it was or whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(text)
    temporary.chmod(mode)
    temporary.replace(path)


def link(tool: Path, name: str | None = None, checkout: Checkout | None = None) -> Path:
    """Put a tool into this checkout's folder of tools."""
    folder = (checkout or here()).bin
    folder.mkdir(parents=True, exist_ok=True)
    place = folder / (name or tool.name)
    temporary = place.with_name(f".{place.name}.{os.getpid()}")
    temporary.symlink_to(tool)
    temporary.replace(place)
    return place


def which(program: str) -> str | None:
    """Find a program as a root shell would: an ordinary user's PATH often lacks the sbin folders."""
    path = os.environ.get("PATH", os.defpath)
    return shutil.which(program, path=f"{path}:/usr/local/sbin:/usr/sbin:/sbin")
