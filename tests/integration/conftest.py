"""Fixtures for tests with a real API server: the control plane, the chart's objects, namespaces, identities."""

import fcntl
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dev.cluster import Cluster, ClusterError, up
from dev.cluster.paths import CHECKOUT
from dev.harness import chart, devserver
from dev.harness.devserver import DevServer
from dev.harness.kubectl import Kubectl, Manifest
from dev.harness.operator import OperatorProcess
from tests.support import distribution
from tests.support.distribution import CLUSTER, DEV
from tests.support.kubeletprocess import kubelet
from tests.support.namespaces import temporary_namespace
from tests.support.podfiles import PodFiles
from tests.support.pods import add_runner, registered_node
from tests.support.quick import QuickKubectl
from tests.support.relay import Relay

FOREIGN_CRD: Manifest = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "taskruns.tekton.dev"},
    "spec": {
        "group": "tekton.dev",
        "scope": "Namespaced",
        "names": {
            "kind": "TaskRun",
            "listKind": "TaskRunList",
            "plural": "taskruns",
            "singular": "taskrun",
            "shortNames": ["tr", "trs"],
        },
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {"spec": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
                    }
                },
                "subresources": {"status": {}},
            }
        ],
    },
}


if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # Shells start background processes with SIGINT ignored; the commands under test must still handle Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start with the longest files; keep the order within a file."""
    items.sort(key=lambda item: distribution.place_in_order(item.path))


@pytest.hookimpl(optionalhook=True)  # without pytest-xdist, too
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> distribution.Scheduling:
    """Decide which tests run in the same process."""
    return distribution.Scheduling(config, log)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run tests with the marker `also_on_dev` in both places; `only_in_cluster` says what `podrelay dev` lacks."""
    markers = {marker.name for marker in metafunc.definition.iter_markers()}
    if "place" in metafunc.fixturenames and "also_on_dev" in markers and "only_in_cluster" not in markers:
        metafunc.parametrize("place", [CLUSTER, DEV], indirect=True, scope="session")


@pytest.fixture(scope="session")
def place(request: pytest.FixtureRequest) -> str:
    """Where a test runs."""
    found: str = getattr(request, "param", CLUSTER)
    return found


@pytest.fixture(scope="session")
def user(place: str) -> str:
    """The name of the user whose rights tests have by default."""
    return devserver.USER if place == DEV else "kubernetes-super-admin"


@pytest.fixture(scope="session")
def cluster() -> Cluster:
    """The control plane; it is left running."""
    try:
        return up("control-plane")
    except ClusterError as error:
        pytest.fail(f"the control plane is not available: {error}", pytrace=False)


@pytest.fixture(scope="session")
def cluster_admin(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Kubectl:
    """kubectl as the administrator of the control plane.

    This fixture and the next ones do not depend on `place`, so that they exist once, and are not made again after each
    test with the other place.
    """
    return Kubectl.of(cluster, tmp_path_factory.mktemp("kubectl"))


@pytest.fixture(scope="session")
def cluster_installed(cluster_admin: Kubectl) -> None:
    """The chart's CRDs, roles and policies, in force in the control plane."""
    chart.install(cluster_admin)


@pytest.fixture(scope="session")
def cluster_pod_logs(
    cluster_admin: Kubectl, cluster_installed: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Path]:
    """Run a node whose pods are processes of this host; yield the folder of their logs."""
    with kubelet(cluster_admin, tmp_path_factory.mktemp("kubelet")) as folder:
        yield folder


@pytest.fixture(scope="session")
def dev_admin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kubectl]:
    """kubectl with `podrelay dev`."""
    with DevServer(tmp_path_factory.mktemp("dev"), place=CHECKOUT) as server:
        yield server.kubectl()


@pytest.fixture(scope="session")
def quiet_dev_admin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kubectl]:
    """kubectl with `podrelay dev` without its operator."""
    with DevServer(tmp_path_factory.mktemp("quiet"), flags=("--without-operator",)) as server:
        yield server.kubectl()


@pytest.fixture(scope="session")
def admin(place: str, request: pytest.FixtureRequest) -> Kubectl:
    """kubectl as the cluster's administrator, in the namespace default."""
    found: Kubectl = request.getfixturevalue("cluster_admin" if place == CLUSTER else "dev_admin")
    return found


@pytest.fixture(scope="session")
def quiet_admin(place: str, request: pytest.FixtureRequest) -> Kubectl:
    """The same, where no operator works in new namespaces."""
    found: Kubectl = request.getfixturevalue("cluster_admin" if place == CLUSTER else "quiet_dev_admin")
    return found


@pytest.fixture(scope="session")
def installed(place: str, request: pytest.FixtureRequest) -> None:
    """The chart's CRDs, roles and policies, in force. The operator itself is not deployed."""
    if place == CLUSTER:
        request.getfixturevalue("cluster_installed")


@pytest.fixture(scope="session")
def node(cluster_admin: Kubectl) -> Iterator[str]:
    """The name of a node, for pods that must be bound to one."""
    with registered_node(cluster_admin) as name:
        yield name


@pytest.fixture
def kubectl(quiet_admin: Kubectl, installed: None) -> Iterator[Kubectl]:
    """kubectl as administrator in a separate namespace for this test."""
    with temporary_namespace(quiet_admin) as inside:
        yield inside


@pytest.fixture
def namespace(kubectl: Kubectl) -> str:
    """The name of this test's namespace, in which `kubectl` works."""
    return kubectl.namespace


@pytest.fixture(scope="module")
def shared(admin: Kubectl, installed: None) -> Iterator[Kubectl]:
    """kubectl as administrator in a namespace that the tests of one file share; each test uses separate names."""
    with temporary_namespace(admin) as inside:
        yield inside


@pytest.fixture(scope="module")
def quiet_shared(quiet_admin: Kubectl, installed: None) -> Iterator[Kubectl]:
    """The same, where no operator works."""
    with temporary_namespace(quiet_admin) as inside:
        yield inside


@pytest.fixture(scope="module")
def foreign_crd(admin: Kubectl) -> Iterator[str]:
    """Create another project's resource with the same plural and kind, like Tekton's; yield its full name."""
    name = FOREIGN_CRD["metadata"]["name"]
    # Test files run in parallel, and the cluster has it only once.
    with admin.kubeconfig.open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        applied = admin.apply(FOREIGN_CRD, flags=("--server-side",))
        assert applied, str(applied)
        admin.do("wait", "--for=condition=Established", "--timeout=30s", f"crd/{name}")
        yield name
        admin.do("delete", "crd", name)


@pytest.fixture(scope="session")
def pod_logs(place: str, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> PodFiles:
    """Run a node whose pods are processes of this host; return where the files of all such pods are."""
    if place == CLUSTER:  # `podrelay dev` has a node of its own
        request.getfixturevalue("cluster_pod_logs")
    return PodFiles.of_all_sessions(tmp_path_factory)


@pytest.fixture
def idle_relay(kubectl: Kubectl, pod_logs: PodFiles, tmp_path: Path) -> Relay:
    """A namespace in which tasks can run, without an operator yet."""
    add_runner(kubectl)
    return Relay(QuickKubectl.instead_of(kubectl), tmp_path)


@pytest.fixture(scope="module")
def relay(place: str, shared: Kubectl, pod_logs: PodFiles, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Relay]:
    """A namespace with an operator, for the tests of one file; each test uses separate names."""
    folder = tmp_path_factory.mktemp("relay")
    if place == DEV:
        yield Relay(QuickKubectl.instead_of(shared), folder)
        return
    add_runner(shared)
    with OperatorProcess(shared, folder / "operator") as operator:
        yield Relay(QuickKubectl.instead_of(shared), folder)
        assert not operator.has_ended, operator.text
        assert "Traceback" not in operator.text, operator.text
