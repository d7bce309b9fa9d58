"""Fixtures of tests with real pods: the kind cluster, images, the chart, a namespace with restricted Pod Security."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from dev.cluster import Cluster, ClusterError, load, up
from dev.cluster.docker import find
from dev.cluster.paths import here
from dev.harness.chart import RELEASE_NAMESPACE, deploy
from dev.harness.kubectl import Kubectl
from dev.images.build import IMAGES, LOADED, build
from tests.support.namespaces import temporary_namespace
from tests.support.nodes import Nodes, placed
from tests.support.pods import add_runner
from tests.support.quick import QuickKubectl
from tests.support.realpods import RealRelay

FIRST = "test_quickstart.py"
"""This test installs and uninstalls Podrelay itself; all others share a later installation."""
SUPPORT = Path(__file__).parents[1] / "support"
TEST_TASKS = ("tasks.py", "scenario_tasks.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the test that needs a cluster without Podrelay; the order of the others stays."""
    items.sort(key=lambda item: item.path.name != FIRST)


@pytest.fixture(scope="session")
def cluster() -> Cluster:
    """The kind cluster with a control plane and two workers, and current images; it is left running."""
    try:
        cluster = up("kind", nodes=3, replace=True)
        build()
        load([IMAGES[name] for name in LOADED])
    except ClusterError as error:
        pytest.fail(f"the kind cluster is not available: {error}", pytrace=False)
    return cluster


@pytest.fixture(scope="session")
def admin(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Kubectl:
    """kubectl as the cluster's administrator."""
    kubectl = Kubectl.of(cluster, tmp_path_factory.mktemp("kubectl"))
    kubectl("create", "namespace", RELEASE_NAMESPACE)  # fails if it exists
    restrict(kubectl, RELEASE_NAMESPACE)
    # Tests remove workers, so the operator must not run on one of them.
    deploy(kubectl, {"image.tag": "dev", "operator.replicas": 1, **placed("operator", "control plane")})
    # The image of the same tag may have changed.
    system = kubectl.in_namespace(RELEASE_NAMESPACE)
    system.do("rollout", "restart", "deployment/podrelay-operator")
    system.do("rollout", "status", "deployment/podrelay-operator", "--timeout=60s")
    return kubectl


@pytest.fixture(scope="session")
def nodes(admin: Kubectl) -> Nodes:
    """The cluster's nodes."""
    docker = find(here())
    assert docker is not None
    return Nodes(admin, docker)


@pytest.fixture(scope="module")
def relay(admin: Kubectl) -> Iterator[RealRelay]:
    """A namespace in which the tasks of tests/support run in real pods."""
    with temporary_namespace(admin) as kubectl:
        restrict(kubectl, kubectl.namespace)
        add_runner(kubectl)
        kubectl.do("create", "configmap", "tasks", *(f"--from-file={SUPPORT / name}" for name in TEST_TASKS))
        yield RealRelay(QuickKubectl.instead_of(kubectl))


def restrict(kubectl: Kubectl, namespace: str) -> None:
    """Let a namespace accept only pods that meet the restricted Pod Security Standard."""
    kubectl.do("label", "--overwrite", "namespace", namespace, "pod-security.kubernetes.io/enforce=restricted")
