"""Scripts from npm that the site carries itself, so that it needs no network: diagrams, and search in local files."""

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dev.cluster.errors import ClusterError
from dev.cluster.locks import lock
from dev.cluster.paths import cache, which
from dev.cluster.steps import run, step


@dataclass(frozen=True)
class Script:
    """A file of an npm package."""

    package: str
    version: str
    file: str

    @property
    def name(self) -> str:
        """Its file name in the site."""
        return f"{self.package}.js"


MERMAID: Final = Script("mermaid", "11.17.2", "dist/mermaid.min.js")
"""The newest of the major version that mkdocs-material works with."""
SEARCH: Final = Script("iframe-worker", "1.0.4", "shim/index.js")
"""Browsers start no worker for a page that is a local file; mkdocs-material's search needs this in its place."""


def ensure(script: Script) -> Path:
    """Return the path of a script; it is downloaded if the cache does not have it.

    Raises:
        ClusterError: npm is missing, or fails.
    """
    path = cache() / "site" / f"{script.version}-{script.name}"
    with lock(cache() / "locks" / "site", "another download"):
        if not path.exists():
            npm = which("npm")
            if not npm:
                raise ClusterError(f"{script.package} is an npm package.", "Install Node.js with npm, then try again.")
            with step(f"download {script.package} from npm", 5):
                _download(npm, script, path)
    return path


def _download(npm: str, script: Script, path: Path) -> None:
    log = cache() / "logs" / "site.log"
    with tempfile.TemporaryDirectory() as folder:
        package = f"{script.package}@{script.version}"
        run([npm, "pack", "--silent", package], log, cwd=Path(folder), hint=f"The whole log is {log}")
        shutil.unpack_archive(next(Path(folder).glob("*.tgz")), folder)
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(Path(folder) / "package" / script.file, path)
