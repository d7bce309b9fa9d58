"""The programs that clusters are made of and worked with, each built from its Go module once and then cached.

`tool("kind")` is the whole interface. A finished tool is a folder `<cache>/tools/NAME-VERSION`; it comes into being by
a rename after its build succeeded, so a folder that exists is complete, whatever was interrupted before.
"""

import functools
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cluster import versions
from cluster.errors import ClusterError
from cluster.locks import lock
from cluster.paths import cache, link
from cluster.steps import run, say, step
from cluster.tools import golang, kubernetes, own


@dataclass(frozen=True, slots=True)
class Tool:
    """One program.

    Attributes:
        name: What it is called on the command line.
        version: What it is cached by; anything that changes the result belongs here.
        binary: The file inside its folder.
        seconds: How long a build takes on two cores when nothing is cached.
        build: Builds it into a folder, given a log.
    """

    name: str
    version: str
    binary: str
    seconds: float
    build: Callable[[Path, Path], None]

    @property
    def path(self) -> Path:
        """Where the finished program is, or will be."""
        return cache() / "tools" / f"{self.name}-{self.version}" / self.binary


def _module(name: str, package: str, version: str, seconds: float, ldflags: str = "") -> Tool:
    """A tool that `go install` can build as it is."""

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
    """A program of the multi-call binary: all of them are one tool."""
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
    """The path of a tool, built first if it is not in the cache, and linked into this checkout's folder of tools."""
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
    # One lock for all tools: two Go builds at once on a small machine take longer than one after the other, and need
    # twice the memory.
    with lock(cache() / "locks" / "build", "another build of tools to end"):
        if wanted.path.exists():
            return wanted.path
        unfinished = cache() / "unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)  # ours, as we hold the lock: an interrupted build left it
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
        say(f"kept in {final}")
    return wanted.path
