"""`python -m dev.images push`, with the real Docker and a real registry."""

import os
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from dev.cluster import Cluster
from dev.cluster.docker import Docker, find
from dev.cluster.paths import here
from tests.support.registry import registry

SMALL = "primes"


@pytest.fixture
def docker(cluster: Cluster) -> Docker:
    """The daemon that has the images."""
    found = find(here())
    assert found is not None
    return found


def push(place: str, config: Path, *images: str) -> subprocess.CompletedProcess[str]:
    """Push images with the credentials in a configuration folder of Docker."""
    return subprocess.run(
        [sys.executable, "-m", "dev.images", "push", f"--registry={place}", "--tag=1.0", *images],
        env=os.environ | {"DOCKER_CONFIG": str(config)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_a_pushed_image_is_in_the_registry_and_its_digest_is_printed(docker: Docker, tmp_path: Path) -> None:
    with registry(docker, tmp_path / "registry") as found:
        pushed = push(f"{found.place}/team", tmp_path, SMALL)
        assert pushed.returncode == 0, pushed.stderr
        name, digest = pushed.stdout.split()
        assert name == f"{found.place}/team/podrelay-primes:1.0"
        manifest = urllib.request.urlopen(f"http://{found.address}/v2/team/podrelay-primes/manifests/1.0", timeout=10)
        assert manifest.headers["Docker-Content-Digest"] == digest

        assert push(f"{found.place}/team", tmp_path, SMALL).stdout == pushed.stdout


def test_a_registry_that_requires_credentials_gets_those_of_docker_login(docker: Docker, tmp_path: Path) -> None:
    with registry(docker, tmp_path / "registry", credentials=("mia", "secret")) as found:
        refused = push(found.place, tmp_path / "config", SMALL)
        assert refused.returncode == 1
        assert f"run the command again: docker login {found.place}" in refused.stderr

        login = [docker.program, f"--config={tmp_path / 'config'}", "login", "--username=mia", "--password-stdin"]
        subprocess.run([*login, found.place], input=b"secret", env=docker.env, check=True, capture_output=True)
        pushed = push(found.place, tmp_path / "config", SMALL)
        assert pushed.returncode == 0, pushed.stderr


def test_a_registry_without_tls_is_reported(docker: Docker, tmp_path: Path) -> None:
    with registry(docker, tmp_path / "registry") as found:
        refused = push(found.address, tmp_path, SMALL)
    assert refused.returncode == 1
    assert f"{found.address} does not support TLS" in refused.stderr
    assert "insecure-registries" in refused.stderr
