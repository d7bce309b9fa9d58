"""A kind cluster of another size: never replaced without a request, and the daemon with its images is kept."""

from pathlib import Path
from typing import Any

import pytest

from dev.cluster import clusters, kind, kubectl
from dev.cluster import docker as daemons
from dev.cluster.__main__ import main
from dev.cluster.docker.inotify import allow_enough
from dev.cluster.errors import ClusterError
from dev.cluster.model import Cluster
from dev.cluster.paths import Checkout


class FakeDocker:
    """A daemon that runs the container of one node."""

    host = None
    network = None

    def __init__(self) -> None:
        self.nodes = ["words-control-plane"]

    def ask(self, command: str, *arguments: Any, **_: Any) -> str:
        if command == "rm":
            self.nodes = [node for node in self.nodes if node not in arguments]
        return "\n".join(f"{node} running" for node in self.nodes)


@pytest.fixture
def docker(monkeypatch: pytest.MonkeyPatch) -> FakeDocker:
    fake = FakeDocker()
    monkeypatch.setattr(daemons, "find", lambda _: fake)
    monkeypatch.setattr(kubectl, "answers", lambda _: True)
    return fake


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    """A checkout whose cluster of one node is up."""
    checkout = Checkout(tmp_path)
    Cluster("kind", "words", tmp_path / "kubeconfig", "https://10.0.0.1", "v1.35.4", ("words-control-plane",)).save(
        checkout
    )
    return checkout


@pytest.mark.parametrize("nodes", [None, 1])
@pytest.mark.parametrize("replace", [False, True])
def test_a_cluster_of_the_requested_size_is_reused(
    docker: FakeDocker, checkout: Checkout, nodes: int | None, replace: bool
) -> None:
    assert kind.up(checkout, nodes=nodes, replace=replace).nodes == ("words-control-plane",)
    assert docker.nodes == ["words-control-plane"]


def test_a_cluster_of_another_size_is_not_replaced_without_a_request(docker: FakeDocker, checkout: Checkout) -> None:
    with pytest.raises(ClusterError, match=r"up with 1 node\(s\), not 3") as refused:
        kind.up(checkout, nodes=3)

    assert "--replace" in refused.value.hint
    assert docker.nodes == ["words-control-plane"]


def test_replace_prints_one_line_and_removes_only_the_nodes(
    docker: FakeDocker, checkout: Checkout, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def no_further(_: Checkout) -> None:
        raise ClusterError("the end of this test")

    monkeypatch.setattr(daemons, "up", no_further)
    monkeypatch.setattr(daemons, "down", lambda _: pytest.fail("the daemon was ended"))

    with pytest.raises(ClusterError, match="the end of this test"):
        kind.up(checkout, nodes=3, replace=True)

    assert docker.nodes == []
    assert Cluster.load(checkout, "kind") is None
    assert capsys.readouterr().err == "  replacing the cluster of 1 node(s) with one of 3\n"


def test_up_waits_for_an_api_server_that_restarts(
    docker: FakeDocker, checkout: Checkout, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    looks = iter([False, False, True])
    monkeypatch.setattr(kubectl, "answers", lambda _: next(looks))
    monkeypatch.setattr(clusters, "_checkout", lambda: checkout)

    assert main(["env", "kind"]) == 0

    assert f"export KUBECONFIG='{checkout.root}/kubeconfig'" in capsys.readouterr().out
    assert not list(looks)


def test_a_cluster_whose_api_server_does_not_return_is_not_up(
    docker: FakeDocker, checkout: Checkout, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = iter(range(0, 1000, 10))
    monkeypatch.setattr(kubectl, "answers", lambda _: False)
    monkeypatch.setattr("dev.cluster.kubectl.time.monotonic", lambda: float(next(clock)))
    monkeypatch.setattr("dev.cluster.kubectl.time.sleep", lambda _: None)
    monkeypatch.setattr(clusters, "_checkout", lambda: checkout)

    assert main(["env", "kind"]) == 1
    assert "The cluster kind is not up." in capsys.readouterr().err
    assert next(clock) < 100


def test_stopped_nodes_are_not_waited_for(
    docker: FakeDocker, checkout: Checkout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kubectl, "answers", lambda _: pytest.fail("there is no server"))
    docker.nodes = []

    assert kind.find(checkout) is None


@pytest.mark.parametrize(("before", "after", "words"), [(128, 1024, "from 128 to 1024"), (8192, 8192, "")])
def test_a_limit_that_is_too_low_for_two_clusters_is_raised_and_reported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], before: int, after: int, words: str
) -> None:
    limit = tmp_path / "max_user_instances"
    limit.write_text(f"{before}\n")

    allow_enough(limit)

    assert int(limit.read_text()) == after
    assert words in capsys.readouterr().err


def test_a_limit_is_kept_without_permission_to_raise_it(tmp_path: Path) -> None:
    allow_enough(tmp_path / "nothing-here")
