"""Starts the kubelet for tests beside the control plane, and stops it with everything that it runs."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from tests.support.kubectl import Kubectl
from tests.support.waiting import eventually


@contextmanager
def kubelet(kubectl: Kubectl, folder: Path) -> Iterator[Path]:
    """A node that runs pods as processes of this host; yields the folder of their logs."""
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
        process.terminate()
        process.wait(timeout=20)
        kubectl("delete", "node", node, "--wait=false")
