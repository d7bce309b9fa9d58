"""A container registry for tests, at localhost for the Docker daemon and for the nodes of the kind cluster.

Docker uses plain HTTP for localhost. The registry is a process in the network of the daemon, and containerd of each
node is configured with the real address of localhost:PORT.
"""

import re
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dev.cluster.docker import Docker
from dev.cluster.docker.network import NAMESPACES
from dev.cluster.tools import tool
from dev.harness.waiting import eventually

_CERTS: Final = "/etc/containerd/certs.d"
"""The folder with the settings of registries, which containerd reads at each pull."""


@dataclass(frozen=True)
class Registry:
    """A registry that responds.

    Attributes:
        place: localhost:PORT, for the daemon and for pods.
        address: ADDRESS:PORT, for nodes.
    """

    place: str
    address: str


@contextmanager
def registry(
    docker: Docker, folder: Path, nodes: Sequence[str] = (), credentials: tuple[str, str] | None = None
) -> Iterator[Registry]:
    """Run a registry.

    Args:
        docker: The daemon that pushes to it.
        folder: The folder for its data and its log.
        nodes: Names of the containers of nodes that pull from it.
        credentials: Name and password that it requires; None: it requires none.
    """
    folder.mkdir(parents=True)
    with _process(docker, folder, credentials) as port:
        found = Registry(f"localhost:{port}", f"{_address(docker)}:{port}")
        try:
            for node in nodes:
                _configure(docker, node, found)
            yield found
        finally:
            for node in nodes:
                _forget(docker, node, found)
            listed = docker.ask("images", "--format={{.Repository}}:{{.Tag}}") or ""
            names = [name for name in listed.split() if name.startswith((f"{found.place}/", f"{found.address}/"))]
            if names:
                docker.ask("image", "rm", *names)


@contextmanager
def _process(docker: Docker, folder: Path, credentials: tuple[str, str] | None) -> Iterator[str]:
    """Run the registry in the network of a daemon; yield its port."""
    place = ["nsenter", f"--net={NAMESPACES / docker.network.namespace}"] if docker.network else []
    flags = ["-user", credentials[0], "-password", credentials[1]] if credentials else []
    log = folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*place, str(tool("registry")), "-listen=0.0.0.0:0", f"-folder={folder}", *flags],
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        yield eventually("the registry listens", lambda: _port(log.read_text()))
    finally:
        process.terminate()
        process.wait(10)


def _port(log: str) -> str:
    """Return the port that a registry listens on, from its log; empty if the log does not have it yet."""
    said = re.search(r"listening on \S+:(\d+)$", log, re.MULTILINE)
    return said[1] if said else ""


def _address(docker: Docker) -> str:
    """Return the address of the daemon's host in the network of the nodes."""
    if docker.network:
        return str(docker.network.node_address)
    gateways = docker.ask("network", "inspect", "kind", "--format={{range .IPAM.Config}}{{println .Gateway}}{{end}}")
    return next(word for word in (gateways or "").split() if ":" not in word)


def _configure(docker: Docker, node: str, found: Registry) -> None:
    """Configure containerd of a node to use the registry's address for its name."""
    folder = f"{_CERTS}/{found.place}"
    hosts = f'[host."http://{found.address}"]\n  capabilities = ["pull", "resolve"]\n'
    script = f"mkdir -p '{folder}' && printf '%s' '{hosts}' >'{folder}/hosts.toml'"
    assert docker.ask("exec", node, "sh", "-c", script) is not None


def _forget(docker: Docker, node: str, found: Registry) -> None:
    """Remove the settings of the registry from a node, and the images that it has pulled from there."""
    ctr = "ctr --namespace=k8s.io images"
    script = (
        f"{ctr} ls --quiet 'name~=^{found.place}/' | xargs --no-run-if-empty {ctr} rm && rm -r '{_CERTS}/{found.place}'"
    )
    docker.ask("exec", node, "sh", "-c", script)
