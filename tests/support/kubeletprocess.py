"""Starts the kubelet for tests in addition to the control plane, and stops it and its processes."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from dev.harness.kubectl import Kubectl
from dev.harness.waiting import eventually


@contextmanager
def kubelet(kubectl: Kubectl, folder: Path) -> Iterator[Path]:
    """Run a node whose pods are processes of this host; yield the folder of their logs."""
    _forget_dead_nodes(kubectl)
    node = f"kubelet-{uuid4().hex[:8]}"
    log = folder / "kubelet.log"
    command = [sys.executable, "-m", "tests.support.kubelet", "--kubeconfig", str(kubectl.kubeconfig)]
    with log.open("wb") as file:
        process = subprocess.Popen(
            [*command, "--node", node, "--root", str(folder)], stdout=file, stderr=subprocess.STDOUT
        )

    def is_ready() -> bool:
        assert process.poll() is None, log.read_text()
        ready = "jsonpath={.status.conditions[?(@.type=='Ready')].status}{.spec.taints}"
        return kubectl("get", "node", node, "--output", ready).stdout == "True"

    try:
        eventually("the node is ready", is_ready, 30)
        yield folder
    finally:
        # Other test processes may have pods on this node, too.
        kubectl("cordon", node)
        eventually("no pod runs on the node", lambda: process.poll() is not None or not _running(kubectl, node), 120)
        process.terminate()
        process.wait(timeout=20)
        kubectl("delete", "node", node, "--wait=false")


def _running(kubectl: Kubectl, node: str) -> str:
    on_it = f"--field-selector=spec.nodeName={node},status.phase!=Succeeded,status.phase!=Failed"
    return kubectl("get", "pods", "--all-namespaces", on_it, "--output=name").stdout


def _forget_dead_nodes(kubectl: Kubectl) -> None:
    """Delete the nodes of test sessions that were killed."""
    status = "{.metadata.name} {.status.conditions[?(@.type=='Ready')].status}"
    listed = kubectl("get", "nodes", "--output", f"jsonpath={{range .items[*]}}{status}{{'\\n'}}{{end}}").stdout
    for name, ready in (line.split() for line in listed.splitlines() if len(line.split()) == 2):
        if name.startswith("kubelet-") and ready == "Unknown":
            kubectl("delete", "node", name, "--wait=false")
