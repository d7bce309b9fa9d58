"""Results of the package: descriptions of clusters, shell commands, settings for kind, exit codes."""

import json
import subprocess
from pathlib import Path

import pytest

from dev.cluster import clusters, model
from dev.cluster.__main__ import main
from dev.cluster.errors import ClusterError
from dev.cluster.kind import kind_config
from dev.cluster.model import Cluster, export_lines
from dev.cluster.paths import Checkout
from dev.cluster.steps import duration


def cluster(folder: Path, *, docker_host: str | None = None) -> Cluster:
    return Cluster(
        kind="kind",
        name="podrelay-0123abcd",
        kubeconfig=folder / "kubeconfig",
        server="https://10.212.0.2:6443",
        version="v1.35.4",
        nodes=("a", "b"),
        docker_host=docker_host,
        bin=folder / "bin",
    )


def test_a_recorded_cluster_is_loaded_unchanged(tmp_path: Path) -> None:
    checkout = Checkout(tmp_path)
    saved = cluster(tmp_path, docker_host="unix:///d.sock").save(checkout)

    assert Cluster.load(checkout, "kind") == saved


def test_a_damaged_record_is_not_a_cluster(tmp_path: Path) -> None:
    checkout = Checkout(tmp_path)
    cluster(tmp_path).save(checkout)
    model.record(checkout, "kind").write_text('{"kind": "kind"}')

    assert Cluster.load(checkout, "kind") is None


def test_the_environment_names_the_private_daemon_only_if_there_is_one(tmp_path: Path) -> None:
    assert "DOCKER_HOST" not in cluster(tmp_path).env
    assert cluster(tmp_path, docker_host="unix:///d.sock").env["DOCKER_HOST"] == "unix:///d.sock"


def test_export_lines_can_be_evaluated_twice_and_with_any_path(tmp_path: Path) -> None:
    folder = tmp_path / "it's a $HOME"
    lines = "\n".join(export_lines(cluster(folder, docker_host="unix:///d.sock")))
    script = f'{lines}\n{lines}\necho "$KUBECONFIG|$DOCKER_HOST|$PATH"'

    done = subprocess.run(
        ["/bin/sh", "-c", script], env={"PATH": "/usr/bin:/bin"}, capture_output=True, text=True, check=True
    )

    assert done.stdout == f"{folder}/kubeconfig|unix:///d.sock|{folder}/bin:/usr/bin:/bin\n"


def test_only_a_private_network_sets_the_address_for_kind() -> None:
    assert "networking" not in kind_config(1, None)
    assert kind_config(1, "10.212.0.2")["networking"] == {"apiServerAddress": "10.212.0.2", "apiServerPort": 6443}


@pytest.mark.parametrize(("nodes", "workers"), [(1, 0), (3, 2)])
def test_kind_gets_one_control_plane_and_the_rest_as_workers(nodes: int, workers: int) -> None:
    config = json.loads(json.dumps(kind_config(nodes, None)))

    assert [node["role"] for node in config["nodes"]] == ["control-plane"] + ["worker"] * workers


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.04, "0.0 s"), (9.94, "9.9 s"), (42, "42 s"), (303, "5 min 03 s"), (3599.9, "60 min 00 s")]
)
def test_durations_are_human_readable(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_a_failure_is_reported_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object, **__: object) -> Cluster:
        raise ClusterError("It is broken.", "Repair it.")

    monkeypatch.setattr(clusters, "up", fail)

    assert main(["up", "kind"]) == 1
    assert capsys.readouterr().err == "\nError: It is broken.\nRepair it.\n"


@pytest.mark.parametrize(
    "line", ["up nonsense", "up kind --nodes 4", "load", "load kind", "load control-plane app:1", "tools nonsense", ""]
)
def test_an_invalid_command_line_exits_with_2(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(line.split())

    assert ended.value.code == 2
    assert "usage:" in capsys.readouterr().err


@pytest.mark.parametrize("line", ["load app:1 web:2", "load kind app:1 web:2"])
def test_images_may_be_named_with_or_without_the_kind(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[str] = []
    monkeypatch.setattr(clusters, "load", loaded.extend)

    assert main(line.split()) == 0
    assert loaded == ["app:1", "web:2"]


def test_the_current_context_is_never_used_by_default(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(clusters, "here", lambda: Checkout(tmp_path))

    assert main(["up", "current"]) == 1
    assert "--context NAME" in capsys.readouterr().err
