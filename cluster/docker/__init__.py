"""A Docker daemon for the nodes: the host's own where one answers, else a private one of this checkout."""

import os
from dataclasses import dataclass
from pathlib import Path

from cluster.docker import private
from cluster.docker.network import Network
from cluster.errors import ClusterError
from cluster.paths import Checkout, which
from cluster.steps import ask


@dataclass(frozen=True, slots=True)
class Docker:
    """A daemon that answers.

    Attributes:
        program: The docker client.
        host: DOCKER_HOST for it; None means that whatever is in force already is right.
        network: The network that the private daemon lives in; None for the host's own daemon.
    """

    program: str
    host: str | None = None
    network: Network | None = None

    @property
    def env(self) -> dict[str, str]:
        """The environment for docker and kind."""
        added = {"DOCKER_HOST": self.host} if self.host else {}
        # Contexts of the docker client would win over DOCKER_HOST.
        return {key: value for key, value in os.environ.items() if key != "DOCKER_CONTEXT"} | added

    def ask(self, *arguments: str | Path, timeout: float = 30) -> str | None:
        """What a docker command prints, or None if it fails."""
        return ask([self.program, *arguments], env=self.env, timeout=timeout)


def find(checkout: Checkout) -> Docker | None:
    """The daemon that would be used, if it answers already: the private one comes first."""
    program = which("docker")
    if program is None:
        return None
    if network := private.find(checkout):
        return Docker(program, private.host(checkout), network)
    if os.environ.get("DOCKER_HOST") == private.host(checkout):
        return None  # the person evaluated `env` earlier, and our daemon is gone since
    docker = Docker(program)
    return docker if docker.ask("version", "--format={{.Server.Version}}", timeout=5) else None


def up(checkout: Checkout) -> Docker:
    """Find a daemon, or start a private one."""
    if docker := find(checkout):
        return docker
    obstacle = private.obstacle()
    if obstacle:
        raise ClusterError(
            f"No Docker daemon answers, and a private one cannot be started: {obstacle}.",
            "Install and start Docker, with leave to use it; or use another cluster: up control-plane needs neither.",
        )
    private.install()
    if docker := find(checkout):
        return docker  # where the host has an init system, the package starts its service
    network = private.up(checkout)
    program = which("docker")
    if program is None:
        raise ClusterError("The docker client is missing.", "Install the package docker.io or docker-cli.")
    return Docker(program, private.host(checkout), network)


def down(checkout: Checkout) -> None:
    """End the private daemon with all that it runs; the host's own is left alone."""
    private.down(checkout)
