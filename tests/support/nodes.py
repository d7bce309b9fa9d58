"""The nodes of a kind cluster: placement of pods, and failures of nodes."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

from dev.cluster.docker import Docker
from dev.harness.kubectl import Kubectl, Manifest
from dev.harness.waiting import eventually

HOSTNAME = "kubernetes.io/hostname"
CONTROL_PLANE = "node-role.kubernetes.io/control-plane"
OUT_OF_SERVICE = "node.kubernetes.io/out-of-service=nodeshutdown:NoExecute"


def placed(part: Literal["operator", "gateway"], place: Literal["control plane", "workers"]) -> Manifest:
    """Return values of the chart that place the pods of one part."""
    expression = {"key": CONTROL_PLANE, "operator": "Exists" if place == "control plane" else "DoesNotExist"}
    terms = {"nodeSelectorTerms": [{"matchExpressions": [expression]}]}
    return {
        f"{part}.affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}},
        f"{part}.tolerations": [{"key": CONTROL_PLANE, "operator": "Exists"}],
    }


def preferring(node: str) -> Manifest:
    """Return fields of a pod that runs on a node as long as that accepts pods."""
    expression = {"key": HOSTNAME, "operator": "In", "values": [node]}
    term = {"weight": 100, "preference": {"matchExpressions": [expression]}}
    return {"affinity": {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [term]}}}


def tolerating(key: str, seconds: int) -> Manifest:
    """Return a toleration of a taint, for a number of seconds."""
    return {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": seconds}


@dataclass(frozen=True)
class Nodes:
    """Operations of an administrator on the nodes, who can also cut their power."""

    kubectl: Kubectl
    docker: Docker
    removed: list[Manifest] = field(default_factory=list)

    def workers(self) -> list[str]:
        return sorted(self.kubectl.names("nodes", "--selector", f"!{CONTROL_PLANE}"))

    def condition(self, node: str) -> str:
        """Return the status of the condition Ready: True, False or Unknown."""
        path = '--output=jsonpath={.status.conditions[?(@.type=="Ready")].status}'
        return self.kubectl("get", "node", node, path).stdout

    def drain(self, node: str) -> None:
        self.kubectl.do("drain", node, "--ignore-daemonsets", "--timeout=50s")

    def uncordon(self, node: str) -> None:
        self.kubectl.do("uncordon", node)

    def cut_the_power(self, node: str) -> None:
        self._docker("kill", node)

    def switch_on(self, node: str) -> None:
        self._docker("start", node)

    @contextmanager
    def frozen(self, node: str) -> Iterator[None]:
        """Pause a node and everything that runs on it, and resume it at the end."""
        self._docker("pause", node)
        try:
            yield
        finally:
            self._docker("unpause", node)
            self.until_ready(node)

    def remove(self, node: str) -> None:
        """Delete the Node object, as a cloud does for a removed machine; the machine itself continues to run."""
        self.removed.append(self.kubectl.get("node", node))
        self.kubectl.do("delete", "node", node)

    def put_back(self) -> None:
        """Create removed Node objects again, with the pod addresses that the node's network is configured for."""
        while self.removed:
            manifest = self.removed.pop()
            about = {key: manifest["metadata"][key] for key in ("name", "labels", "annotations")}
            spec = {key: value for key, value in manifest["spec"].items() if key != "taints"}
            self.kubectl.do("create", "-f", "-", stdin={**manifest, "metadata": about, "spec": spec, "status": {}})

    def until_ready(self, *nodes: str) -> None:
        for node in nodes:
            eventually(f"{node} is ready", lambda node=node: self.condition(node) == "True", 90)  # type: ignore[misc]

    def _docker(self, command: str, node: str) -> None:
        assert self.docker.ask(command, node) is not None, f"docker {command} {node}"
