"""The images of tasks, with the real Docker."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from dev.cluster import Cluster
from dev.cluster.docker import Docker, find
from dev.cluster.paths import CHECKOUT, here
from dev.images import base

UNCOMPILED = "podrelay-test-base:uncompiled"
BUILT = "podrelay-test-task:uncompiled"


@pytest.fixture
def docker(cluster: Cluster) -> Iterator[Docker]:
    """The daemon that has the images."""
    found = find(here())
    assert found is not None
    yield found
    found.ask("image", "rm", "--force", BUILT, UNCOMPILED)


def build(docker: Docker, *options: str, folder: Path) -> None:
    """Build an image from the Dockerfile of a folder."""
    built = subprocess.run(
        [docker.program, "build", "--quiet", *options, str(folder)],
        env=docker.env | {"DOCKER_BUILDKIT": "0"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert built.returncode == 0, built.stderr


def test_pods_compile_no_modules_of_python_or_podrelay_on_any_base(docker: Docker, tmp_path: Path) -> None:
    """python:3.13-slim contains no compiled modules of the standard library; this base lacks them, too."""
    bare = f'FROM {base.provide(docker)}\nRUN ["find", "/usr", "-name", "*.pyc", "-delete"]\n'
    (tmp_path / "Dockerfile").write_text(bare, encoding="utf-8")
    build(docker, f"--tag={UNCOMPILED}", folder=tmp_path)
    build(docker, "--target=task", f"--build-arg=BASE={UNCOMPILED}", f"--tag={BUILT}", folder=CHECKOUT)

    imports = "import podrelay, podrelay.runner.main, pydantic"
    command = [docker.program, "run", "--rm", "--read-only", "--network=none", BUILT, "python3", "-v", "-c", imports]
    started = subprocess.run(command, env=docker.env, capture_output=True, text=True, check=False, timeout=60)

    assert started.returncode == 0, started.stderr
    loaded = [line.split("code object from ")[1] for line in started.stderr.splitlines() if "code object from" in line]
    assert len(loaded) > 50
    assert [place for place in loaded if ".pyc" not in place] == []
