"""The demo's runs through GraphQL and from the command line."""

import json
import socket
from pathlib import Path

import pytest

from dev.cluster import Cluster, ClusterError
from dev.demo import doors, frontend
from dev.demo.frontend import FrontEnd
from dev.demo.programs import Programs

RUNS = [
    {"metadata": {"name": "theirs", "annotations": {"podrelay.dev/created-by": "kubernetes-admin"}}},
    {
        "metadata": {
            "name": "word-count-1",
            "annotations": {"podrelay.dev/created-by": "system:serviceaccount:podrelay-demo:front-end"},
        }
    },
    {"metadata": {"name": "by-hand", "annotations": {"podrelay.dev/created-by": "kubernetes-admin"}}},
    {"metadata": {"name": "old"}},
]


def programs(folder: Path, kubectl: str) -> Programs:
    """Programs with a shell script as kubectl."""
    program = folder / "kubectl"
    program.write_text(f"#!/bin/sh\n{kubectl}\n", encoding="utf-8")
    program.chmod(0o755)
    return Programs(Cluster("kind", "test", folder / "kubeconfig", "https://localhost", "v1", bin=folder))


def test_only_runs_that_the_demo_has_started_are_removed_by_the_next_one(tmp_path: Path) -> None:
    (tmp_path / "runs.json").write_text(json.dumps({"items": RUNS}), encoding="utf-8")

    found = doors.former_runs(programs(tmp_path, f"cat {tmp_path}/runs.json"))

    assert found == ["word-count-1", "by-hand"]


def test_the_port_of_a_service_is_read_from_the_output_of_kubectl(tmp_path: Path) -> None:
    with programs(tmp_path, "echo 'Forwarding from 127.0.0.1:40213 -> 8090'; exec sleep 60").forward("it", 80) as port:
        assert port == 40213


def test_a_service_that_cannot_be_reached_is_an_error_with_kubectls_message(tmp_path: Path) -> None:
    failing = programs(tmp_path, "echo 'error: no such service' >&2; exit 1")

    with pytest.raises(ClusterError, match="port-forward service/it :80` failed: error: no such service"):
        failing.forward("it", 80).__enter__()


def test_a_gateway_that_does_not_respond_is_an_error() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        user = FrontEnd(f"http://127.0.0.1:{free.getsockname()[1]}/graphql", "token")
        with pytest.raises(ClusterError, match="The gateway cannot be reached"):
            user.trigger({})
        with pytest.raises(ClusterError, match="The gateway cannot be reached"):
            user.follow("word-count-1", lambda _: None, 10)


def test_a_task_is_shown_like_a_run() -> None:
    task = {
        "id": "word-count-1",
        "taskStatus": "running",
        "reason": "IterationRunning",
        "iterations": 2,
        "executionName": "word-count-1-i2",
        "progress": {"percent": 50.0, "message": "50/100 files"},
    }

    assert frontend.row(task) == (
        "word-count-1", "running", "IterationRunning", "2", "######------", "50/100 files", "word-count-1-i2"
    )  # fmt: skip
    assert frontend.row(task | {"progress": None, "reason": None, "executionName": ""}).bar == ""
