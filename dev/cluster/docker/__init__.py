"""A Docker daemon for the nodes: the host's if it responds, otherwise a private one of this checkout."""

import os
from dataclasses import dataclass
from pathlib import Path

from dev.cluster.docker import private
from dev.cluster.docker.network import Network
from dev.cluster.errors import ClusterError
from dev.cluster.paths import Checkout, which
from dev.cluster.steps import ask


@dataclass(frozen=True, slots=True)
class Docker:
    """A daemon that responds.

    Attributes:
        program: The docker client.
        host: Its DOCKER_HOST; None if the current environment already selects it.
        network: The network of the private daemon; None for the host's daemon.
    """

    program: str
    host: str | None = None
    network: Network | None = None

    @property
    def env(self) -> dict[str, str]:
        """The environment for docker and kind."""
        added = {"DOCKER_HOST": self.host} if self.host else {}
        # A context of the docker client would override DOCKER_HOST.
        return {key: value for key, value in os.environ.items() if key != "DOCKER_CONTEXT"} | added

    def ask(self, *arguments: str | Path, timeout: float = 30) -> str | None:
        """Return the output of a docker command, or None if it fails."""
        return ask([self.program, *arguments], env=self.env, timeout=timeout)


def find(checkout: Checkout) -> Docker | None:
    """Return the daemon that `up` would use if it already responds; the private one is preferred."""
    program = which("docker")
    if program is None:
        return None
    if network := private.find(checkout):
        return Docker(program, private.host(checkout), network)
    if os.environ.get("DOCKER_HOST") == private.host(checkout):
        return None  # DOCKER_HOST is from an earlier `env`, and that daemon has ended since
    docker = Docker(program)
    return docker if docker.ask("version", "--format={{.Server.Version}}", timeout=5) else None


def up(checkout: Checkout) -> Docker:
    """Find a daemon, or start a private one."""
    if docker := find(checkout):
        return docker
    obstacle = private.obstacle()
    if obstacle:
        raise ClusterError(
            f"No Docker daemon responds, and a private one cannot be started: {obstacle}.",
            "Install and start Docker, with permission to use it; or use `up control-plane`, which does not need it.",
        )
    private.install()
    if docker := find(checkout):
        return docker  # with an init system on the host, the package starts its service
    network = private.up(checkout)
    program = which("docker")
    if program is None:
        raise ClusterError("The docker client is missing.", "Install the package docker.io or docker-cli.")
    return Docker(program, private.host(checkout), network)


def down(checkout: Checkout) -> None:
    """End the private daemon and everything that it runs; the host's daemon is left alone."""
    private.down(checkout)
