"""The programs that clusters consist of and are used with, each built from its Go module once and then cached.

`tool("kind")` is the whole interface. A finished tool is a folder `<cache>/tools/NAME-VERSION`. The folder is renamed
to this name after the build has succeeded, so it is always complete if it exists.
"""

import functools
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from dev.cluster import versions
from dev.cluster.errors import ClusterError
from dev.cluster.locks import lock
from dev.cluster.paths import cache, link
from dev.cluster.steps import run, say, step
from dev.cluster.tools import golang, kubernetes, own


@dataclass(frozen=True, slots=True)
class Tool:
    """One program.

    Attributes:
        name: Its name on the command line.
        version: Its version in the cache; it must include everything that changes the result.
        binary: The file inside its folder.
        seconds: The duration of a build on two cores without a cache.
        build: Builds the tool into a folder; the second argument is a log.
    """

    name: str
    version: str
    binary: str
    seconds: float
    build: Callable[[Path, Path], None]

    @property
    def path(self) -> Path:
        """The path of the finished program, which need not exist yet."""
        return cache() / "tools" / f"{self.name}-{self.version}" / self.binary


def _module(name: str, package: str, version: str, seconds: float, ldflags: str = "") -> Tool:
    """Return a tool that `go install` can build unchanged."""

    def build(folder: Path, log: Path) -> None:
        env = golang.environment() | {"GOBIN": str(folder)}
        flags = f"-s -w {ldflags}".strip()
        run(
            [golang.go(), "install", "-trimpath", "-ldflags", flags, f"{package}@{version}"],
            log,
            env=env,
            cwd=folder,
            hint=golang.HINT,
        )

    return Tool(name, version, name, seconds, build)


def _kubernetes(name: str, binary: str) -> Tool:
    """Return a program of the multi-call binary: all of them are one tool."""
    return Tool(name, kubernetes.version(), binary, 330, kubernetes.build)


_helm_version = f"-X helm.sh/helm/v4/internal/version.version={versions.HELM}"
TOOLS = {
    "kubernetes": _kubernetes("kubernetes", "k8s"),
    "pause": Tool("pause", versions.PAUSE_TAG, "pause", 5, kubernetes.build_pause),
    "kind": _module("kind", "sigs.k8s.io/kind", versions.KIND, 40),
    "helm": _module("helm", "helm.sh/helm/v4/cmd/helm", versions.HELM, 120, _helm_version),
    "kwok": _module("kwok", "sigs.k8s.io/kwok/cmd/kwok", versions.KWOK, 90),
    "registry": Tool("registry", own.version("registry"), "registry", 25, functools.partial(own.build, "registry")),
    "coredns": _module("coredns", "github.com/coredns/coredns", versions.COREDNS, 130),
}
NAMES = ("kubectl", "kubeadm", *TOOLS)


def tool(name: str) -> Path:
    """Return the path of a tool, after building it if necessary and linking it into this checkout's folder of tools."""
    if name in kubernetes.PROGRAMS:
        path = _ensure(TOOLS["kubernetes"]).with_name(name)
    elif name in TOOLS:
        path = _ensure(TOOLS[name])
    else:
        raise ClusterError(f"There is no tool {name}.", f"The tools are: {', '.join(NAMES)}")
    if name in {"kubectl", "kind", "helm", "kwok"}:
        link(path, name)
    return path


def _ensure(wanted: Tool) -> Path:
    if wanted.path.exists():
        return wanted.path
    golang.go()  # before the lock: installing a toolchain takes the same lock
    # One lock for all tools: on a small machine, two Go builds at once take longer than one after the other and need
    # twice the memory.
    with lock(cache() / "locks" / "build", "another build of tools to end"):
        if wanted.path.exists():
            return wanted.path
        unfinished = cache() / "unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)  # left by an interrupted build: no other holds the lock
        folder = unfinished / f"{wanted.name}-{wanted.version}"
        folder.mkdir(parents=True)
        log = cache() / "logs" / f"{wanted.name}.log"
        log.unlink(missing_ok=True)
        with step(f"build {wanted.name} {wanted.version}", wanted.seconds):
            wanted.build(folder, log)
        final = wanted.path.parent
        final.parent.mkdir(parents=True, exist_ok=True)
        folder.rename(final)
        shutil.rmtree(unfinished, ignore_errors=True)
        say(f"stored in {final}")
    return wanted.path
