"""docs/quickstart.md, followed literally: its files are written, its commands run, and they print what the page says.

Only the registry is replaced, as readers must, and the package index, because containers may not reach one here.
The page ends without Podrelay in the cluster, so it runs before the tests that share an installation (conftest.py).
"""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dev.cluster import Cluster
from dev.cluster.docker import find
from dev.cluster.paths import here
from dev.harness import forked
from dev.harness.chart import helm
from dev.harness.kubectl import Kubectl
from tests.support import docpages
from tests.support.packageindex import package_index
from tests.support.registry import registry

PAGE, ROOT = "quickstart.md", Path(__file__).parents[2]
REGISTRY, INDEX = "registry.example/team", "--index-url https://pypi.org/simple"


@pytest.fixture
def bare(cluster: Cluster, tmp_path: Path) -> Iterator[Cluster]:
    """The cluster without leftovers of an earlier session; leftovers of a failed test are also removed."""
    kubectl = Kubectl.of(cluster, tmp_path)
    empty(cluster, kubectl)
    yield cluster
    empty(cluster, kubectl)


def empty(cluster: Cluster, kubectl: Kubectl) -> None:
    """Remove Podrelay, its tasks, and the objects that the page creates for them."""
    gone = ("--ignore-not-found", "--timeout=120s")
    if kubectl.do("get", "crd", "taskruns.podrelay.dev", "--ignore-not-found"):
        kubectl("delete", "taskruns.podrelay.dev", "--all", "--all-namespaces")
        kubectl("wait", "pods", "--all-namespaces", "--selector=podrelay.dev/run", "--for=delete", "--timeout=60s")
    helm(
        "uninstall",
        "podrelay",
        "--namespace=podrelay-system",
        "--ignore-not-found",
        f"--kubeconfig={cluster.kubeconfig}",
    )
    crds = (f"{plural}.podrelay.dev" for plural in ("taskruns", "taskiterations", "taskdefinitions"))
    kubectl.do("delete", "crd", *crds, *gone)
    kubectl.do("delete", "namespace", "shop", "podrelay-system", *gone)
    kubectl.do("delete", "serviceaccount,rolebinding", "podrelay-runner", "--namespace=default", *gone)


@contextmanager
def replaced(cluster: Cluster, folder: Path, nodes: tuple[str, ...]) -> Iterator[Callable[[str], str]]:
    """Yield a function that replaces the registry and the index of the page by ones that exist."""
    docker = find(here())
    assert docker is not None
    requirements = folder / "requirements.txt"
    requirements.write_text(docpages.all_files(PAGE)["shop/requirements.txt"])
    with registry(docker, folder / "registry", nodes) as found, package_index(folder / "index", requirements) as port:
        index = f"--index-url http://{cluster.host_address}:{port}/simple --trusted-host {cluster.host_address}"

        def replace(text: str) -> str:
            return text.replace(REGISTRY, f"{found.place}/team").replace(INDEX, index)

        yield replace


def test_without_podrelay_a_namespace_cannot_be_prepared(bare: Cluster) -> None:
    ended = forked.command(["namespace", "prepare", "shop"], os.environ | bare.env)

    assert ended.returncode == 1
    assert "Podrelay is not installed: helm install podrelay charts/podrelay" in ended.stderr
    assert ended.stdout == ""


def test_the_page_does_what_it_says(bare: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster, folder = bare, tmp_path / "checkout"
    folder.mkdir()
    (folder / "charts").symlink_to(ROOT / "charts")
    shutil.copy(cluster.kubeconfig, tmp_path / "kubeconfig")
    monkeypatch.setenv("PATH", cluster.env["PATH"])
    environment = cluster.env | {
        "KUBECONFIG": str(tmp_path / "kubeconfig"),
        "PYTHONPATH": f"{ROOT}:{ROOT / 'operator'}",
    }

    with replaced(cluster, tmp_path, cluster.nodes) as replace:
        for name, text in docpages.all_files(PAGE).items():
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text(replace(text))
        for command in docpages.commands(PAGE):
            docpages.check(docpages.Command(replace(command.line), replace(command.output)), folder, environment)


def test_the_page_on_images_builds_them_in_the_same_way() -> None:
    _, _, dockerfile = docpages.all_files(PAGE)["shop/Dockerfile"].partition("\n")

    assert f"# Dockerfile\n{dockerfile}" in docpages.blocks("task-images.md", "dockerfile")
