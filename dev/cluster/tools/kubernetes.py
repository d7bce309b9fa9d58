"""Build the unmodified Kubernetes programs as one multi-call binary (k8s/main.go), and `pause`.

`go install` cannot build the module k8s.io/kubernetes: its go.mod requires version v0.0.0 of the modules in its own
staging folder. They are also published, as v0.X.Y for Kubernetes v1.X.Y, so a generated go.mod that replaces each with
its published version builds the same code.
"""

import hashlib
import json
import re
import shutil
from pathlib import Path

from dev.cluster import versions
from dev.cluster.errors import ClusterError
from dev.cluster.steps import ask, run
from dev.cluster.tools import golang

PROGRAMS = (
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-proxy",
    "kube-scheduler",
    "kubeadm",
    "kubectl",
    "kubelet",
)

_SOURCES = Path(__file__).resolve().parent
_RECIPE = "1"  # increase it when a change of this file changes the result


def version() -> str:
    """Return the release and a hash of this project's part: an edited main.go is built again."""
    ours = (_SOURCES / "k8s" / "main.go").read_bytes() + _RECIPE.encode()
    return f"{versions.KUBERNETES}-{hashlib.sha256(ours).hexdigest()[:6]}"


def build(folder: Path, log: Path) -> None:
    """Build the multi-call binary `k8s` into the folder, with a link for each program."""
    release = versions.KUBERNETES
    module = folder / "module"
    module.mkdir()
    shutil.copy(_SOURCES / "k8s" / "main.go", module)

    def go(*arguments: str) -> None:
        run([golang.go(), *arguments], log, cwd=module, env=golang.environment(), hint=golang.HINT)

    go("mod", "init", "podrelay.dev/cluster/k8s")
    # A separate step, because a failed download is caused by the network or settings, not by the code.
    go("mod", "download", f"k8s.io/kubernetes@{release}")
    replaced = [f"-replace={name}={name}@{_staging(release)}" for name in _staging_modules(module, release)]
    go("mod", "edit", f"-require=k8s.io/kubernetes@{release}", *replaced)
    go("mod", "tidy")
    go("build", "-trimpath", "-ldflags", _version_flags(release), "-o", str(folder / "k8s"), ".")
    shutil.rmtree(module)
    for program in PROGRAMS:
        (folder / program).symlink_to("k8s")


def build_pause(folder: Path, log: Path) -> None:
    """Build `pause`, which needs only the standard library."""
    source = str(_SOURCES / "pause" / "main.go")
    run(
        [golang.go(), "build", "-trimpath", "-ldflags", "-s -w", "-o", str(folder / "pause"), source],
        log,
        cwd=folder,
        env=golang.environment(),
    )


def _staging(release: str) -> str:
    """Return the version of the staging modules of a release: v0.35.4 for v1.35.4."""
    return re.sub(r"^v1\.", "v0.", release)


def _staging_modules(module: Path, release: str) -> list[str]:
    """Return the names of the staging modules: those that the release's own go.mod requires as v0.0.0."""
    command = [golang.go(), "mod", "download", "-json", f"k8s.io/kubernetes@{release}"]
    answer = ask(command, cwd=module, env=golang.environment(), timeout=300)
    if answer is None:
        raise ClusterError(f"Go cannot find k8s.io/kubernetes@{release}.", golang.HINT)
    text = Path(json.loads(answer)["GoMod"]).read_text()
    return sorted(set(re.findall(r"^\s*(k8s\.io/\S+) v0\.0\.0\s*$", text, re.MULTILINE)))


def _version_flags(release: str) -> str:
    """Return linker flags that set the version of the programs, as the build of the release does."""
    major, minor, _ = release.removeprefix("v").split(".")
    values = {"gitVersion": release, "gitMajor": major, "gitMinor": minor, "gitTreeState": "clean"}
    packages = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
    return " ".join(
        ["-s -w", *(f"-X {package}.{key}={value}" for package in packages for key, value in values.items())]
    )
