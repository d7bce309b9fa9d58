"""The `kind` cluster: one to three nodes as Docker containers, created by the standard kind program.

The node image is kindest/node if it can be pulled. Otherwise one is built on this host (see nodeimage).
"""

import contextlib
import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from dev.cluster import docker as daemons
from dev.cluster import kubectl, nodeimage, versions
from dev.cluster.docker import Docker
from dev.cluster.docker.inotify import allow_enough
from dev.cluster.docker.private import apt_install
from dev.cluster.errors import ClusterError
from dev.cluster.model import Cluster, record
from dev.cluster.paths import Checkout, make_private, which, write_atomic
from dev.cluster.steps import ask, run, say, step
from dev.cluster.tools import tool

KIND: Final = "kind"
STOCK_IMAGE: Final = f"kindest/node:{versions.KUBERNETES}"
API_PORT: Final = 6443
MARK: Final = "podrelay.dev/docker-id"
PIECE: Final = 1024 * 1024


def up(checkout: Checkout, *, nodes: int | None = None, image: str | None = None, replace: bool = False) -> Cluster:
    """Start the cluster unless it is already up, and return it; nodes that were stopped are started again."""
    if running := _revive(checkout):
        if nodes in {None, len(running.nodes)}:
            return running
        if not replace:
            raise ClusterError(
                f"The cluster is up with {len(running.nodes)} node(s), not {nodes}.",
                "Remove it first: python -m dev.cluster down kind; or let `up` do so: --replace",
            )
        say(f"replacing the cluster of {len(running.nodes)} node(s) with one of {nodes}")
        _remove_nodes(checkout)  # the daemon stays, with the images that were built
    else:
        down(checkout)
    folder = make_private(checkout.of(KIND))
    # Docker first: it may be missing, and the builds of tools that follow take minutes.
    docker = daemons.up(checkout)
    program = tool("kind")
    tool("kubectl")
    chosen = image or _node_image(docker)
    allow_enough()
    address = str(docker.network.node_address) if docker.network else None
    config, kubeconfig = folder / "config.json", folder / "kubeconfig"
    write_atomic(config, json.dumps(kind_config(nodes or 1, address), indent=2))
    create: list[str | Path] = [
        program,
        "create",
        "cluster",
        "--name",
        checkout.name,
        "--image",
        chosen,
        "--config",
        config,
    ]
    try:
        with step(f"create a cluster of {nodes or 1} node(s)", 25):
            run([*create, "--kubeconfig", kubeconfig, "--retain"], _log(checkout), env=docker.env)
        with step("wait for nodes and DNS"):
            _wait_ready(kubeconfig, nodes or 1)
    except ClusterError as error:
        _export_logs(checkout, docker)
        raise ClusterError(
            error.message,
            f"The nodes' logs are in {folder / 'logs'}. To start from scratch: python -m dev.cluster down kind",
        ) from error
    return Cluster(
        kind=KIND,
        name=checkout.name,
        kubeconfig=kubeconfig,
        server=kubectl.kubectl(kubeconfig, "config", "view", "--output=jsonpath={..server}") or "?",
        version=kubectl.version(kubeconfig) or "?",
        nodes=tuple(sorted(_states(checkout, docker))),
        logs=folder / "logs",
        docker_host=docker.host,
        host_address=str(docker.network.host_address) if docker.network else _gateway(docker),
        node_address=address or "127.0.0.1",
        bin=checkout.bin,
    ).save(checkout)


def find(checkout: Checkout) -> Cluster | None:
    """Return the cluster if its daemon, all nodes and the API server respond; waits for one that is starting."""
    cluster = Cluster.load(checkout, KIND)
    docker = daemons.find(checkout) if cluster else None
    if cluster is None or docker is None:
        return None
    states = _states(checkout, docker)
    whole = all(states.get(node) == "running" for node in cluster.nodes)
    return cluster if whole and kubectl.answers_soon(cluster.kubeconfig) else None


def down(checkout: Checkout) -> bool:
    """Remove the nodes, the private daemon if any, and every file. Return whether there was anything to remove."""
    containers = _remove_nodes(checkout)
    private = checkout.docker.exists()
    daemons.down(checkout)
    folder = checkout.of(KIND)
    if folder.exists():
        shutil.rmtree(folder)
        return True
    return private or containers


def load(checkout: Checkout, images: Sequence[str]) -> None:
    """Copy images from Docker into the image store of every node."""
    cluster, docker = find(checkout), daemons.find(checkout)
    if cluster is None or docker is None:
        raise ClusterError("The kind cluster is not up.", "Start it: python -m dev.cluster up kind")
    idents: dict[str, str] = {}
    for image in images:
        ident = docker.ask("image", "inspect", "--format={{.Id}}", image)
        if ident is None:
            where = f"with DOCKER_HOST={docker.host}" if docker.host else "with the Docker daemon in use"
            raise ClusterError(
                f"Docker has no image {image}.", f"Build it {where}, as `python -m dev.cluster env` sets it."
            )
        idents[image] = ident.strip()
    with step(f"load {', '.join(images)} into {len(cluster.nodes)} node(s)"):
        wanted = [
            image
            for image, ident in idents.items()
            if not all(_has(docker, node, image, ident) for node in cluster.nodes)
        ]
        if wanted:
            _copy(docker, cluster.nodes, wanted)
        for image in wanted:
            for node in cluster.nodes:
                _mark(docker, node, image, idents[image])


def kind_config(nodes: int, address: str | None) -> dict[str, object]:
    """Return the settings for kind: one control plane and workers.

    Args:
        nodes: The total number of nodes.
        address: The address of the API server; with None kind chooses a free port on the loopback interface.
    """
    config: dict[str, object] = {
        "kind": "Cluster",
        "apiVersion": "kind.x-k8s.io/v1alpha4",
        "nodes": [{"role": "control-plane"}, *({"role": "worker"} for _ in range(nodes - 1))],
    }
    if address:
        # kind would search for a free port in the host's network; in the private network every port is free.
        config["networking"] = {"apiServerAddress": address, "apiServerPort": API_PORT}
    return config


def _revive(checkout: Checkout) -> Cluster | None:
    """Return the cluster if it is up, or after starting its stopped nodes again."""
    cluster = Cluster.load(checkout, KIND)
    docker = daemons.find(checkout) if cluster else None
    if cluster is None or docker is None:
        return None
    states = _states(checkout, docker)
    if not all(node in states for node in cluster.nodes):
        return None
    asleep = [node for node in cluster.nodes if states[node] != "running"]
    if not asleep and kubectl.answers(cluster.kubeconfig):
        return cluster
    try:
        with step(f"start {', '.join(asleep) or 'the cluster'} again"):
            for node in asleep:
                docker.ask("unpause" if states[node] == "paused" else "start", node)
            _wait_ready(cluster.kubeconfig, len(cluster.nodes))
    except ClusterError as error:
        say(f"{error.message} The cluster is created again.")
        return None
    return cluster


def _remove_nodes(checkout: Checkout) -> bool:
    """Remove the nodes' containers and the record of them. Return whether there was any."""
    record(checkout, KIND).unlink(missing_ok=True)
    docker = daemons.find(checkout)
    containers = _states(checkout, docker) if docker else {}
    if docker and containers:
        docker.ask("rm", "--force", "--volumes", *containers, timeout=120)
    return bool(containers)


def _node_image(docker: Docker) -> str:
    """Return a node image in the daemon: an existing one, or else one from the cache, pulled, or built."""
    ours = nodeimage.tag()
    for image in (STOCK_IMAGE, ours):
        if docker.ask("image", "inspect", image) is not None:
            return image
    if not nodeimage.built():
        if _pull(docker):
            return STOCK_IMAGE
        say(f"{STOCK_IMAGE} cannot be pulled here, so a node image is built")
        _prepare_build()
        nodeimage.build()
    with step("load the node image from the cache", 8):
        return nodeimage.load(docker.program, docker.env)


def _pull(docker: Docker) -> bool:
    """Pull the standard node image. Checks first whether a registry responds at all, which is quick."""
    with step("look for a registry that has the standard node image"):
        if docker.ask("manifest", "inspect", STOCK_IMAGE, timeout=10) is None:
            return False
    with step(f"pull {STOCK_IMAGE}", 60):
        return docker.ask("pull", "--quiet", STOCK_IMAGE, timeout=900) is not None


def _prepare_build() -> None:
    hint = f"Pull or load {STOCK_IMAGE} into Docker yourself, or name another image: up kind --node-image IMAGE"
    if os.geteuid() != 0:
        raise ClusterError("Building a node image needs root.", hint)
    missing = set(nodeimage.missing_packages())
    if missing and which("apt-get") is None:
        raise ClusterError(f"Building a node image needs {', '.join(sorted(missing))}.", hint)
    apt_install(missing)


def _wait_ready(kubeconfig: Path, nodes: int) -> None:
    conditions = '--output=jsonpath={.items[*].status.conditions[?(@.type=="Ready")].status}'
    replicas = "--output=jsonpath={.status.availableReplicas}"

    def nodes_ready() -> bool:
        return (kubectl.kubectl(kubeconfig, "get", "nodes", conditions) or "").split() == ["True"] * nodes

    def dns_ready() -> bool:
        found = kubectl.kubectl(kubeconfig, "get", "deployment", "coredns", "--namespace=kube-system", replicas)
        return bool(found and int(found) > 0)

    kubectl.wait_for("ready API server", lambda: kubectl.answers(kubeconfig), 90)
    kubectl.wait_for(f"{nodes} ready node(s)", nodes_ready, 120)
    kubectl.wait_for("cluster DNS", dns_ready, 120)


def _states(checkout: Checkout, docker: Docker) -> dict[str, str]:
    """Return the state of each node's container, by name."""
    label = f"label=io.x-k8s.kind.cluster={checkout.name}"
    listed = docker.ask("ps", "--all", "--filter", label, "--format={{.Names}} {{.State}}") or ""
    return dict(line.split(maxsplit=1) for line in listed.splitlines())


def _gateway(docker: Docker) -> str | None:
    """Return the host's address in the network that kind created."""
    listed = docker.ask("network", "inspect", "kind", "--format={{range .IPAM.Config}}{{.Gateway}} {{end}}") or ""
    return next((word for word in listed.split() if ":" not in word), None)


def _has(docker: Docker, node: str, image: str, ident: str) -> bool:
    """Return whether a node has exactly this image under this name, by the label that an earlier load has set."""
    return bool(_named(docker, node, image, f'labels."{MARK}"=={ident}'))


def _mark(docker: Docker, node: str, image: str, ident: str) -> None:
    """Label an image with its id in Docker: on a node it has another digest."""
    for name in _named(docker, node, image):
        docker.ask("exec", node, "ctr", "--namespace=k8s.io", "images", "label", name, f"{MARK}={ident}")


def _named(docker: Docker, node: str, image: str, *filters: str) -> list[str]:
    """Return the full names of an image on a node: app is docker.io/library/app:latest there."""
    tagged = image if ":" in image.rpartition("/")[2] else f"{image}:latest"
    listed = docker.ask("exec", node, "ctr", "--namespace=k8s.io", "images", "ls", "--quiet", *filters) or ""
    return [name for name in listed.split() if name == tagged or name.endswith(f"/{tagged}")]


def _copy(docker: Docker, nodes: Sequence[str], images: Sequence[str]) -> None:
    """Save the images once and stream each chunk to all nodes, without a temporary file."""
    take = ["exec", "--interactive"], ["ctr", "--namespace=k8s.io", "images", "import", "-"]
    saving = subprocess.Popen([docker.program, "save", *images], env=docker.env, stdout=subprocess.PIPE)
    taking = {
        node: subprocess.Popen(
            [docker.program, *take[0], node, *take[1]],
            env=docker.env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        for node in nodes
    }
    if saving.stdout:
        while piece := saving.stdout.read(PIECE):
            for process in taking.values():
                if process.stdin:
                    with contextlib.suppress(BrokenPipeError):  # the exit code shows the failure
                        process.stdin.write(piece)
    saved = saving.wait()
    said = {node: process.communicate()[0].decode(errors="replace").strip() for node, process in taking.items()}
    failed = [
        f"{node} cannot import the images: {said[node]}" for node, process in taking.items() if process.returncode
    ]
    if failed or saved:
        raise ClusterError("\n".join(failed) or "docker save failed.")


def _export_logs(checkout: Checkout, docker: Docker) -> None:
    command: list[str | Path] = [tool("kind"), "export", "logs", "--name", checkout.name, checkout.of(KIND) / "logs"]
    ask(command, env=docker.env, timeout=60)


def _log(checkout: Checkout) -> Path:
    return checkout.of(KIND) / "logs" / "kind.log"
