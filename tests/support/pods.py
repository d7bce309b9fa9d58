"""Task pods without a kubelet: real pod objects, bound to a node, with real tokens that are bound to them."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import uuid4

from dev.harness.kubectl import Kubectl
from podrelay.api import task_namespace
from tests.support.quick import QuickKubectl

RUNNER = "podrelay-runner"


@dataclass(frozen=True)
class TaskPod:
    """A pod, with the permissions of a program in it.

    Attributes:
        name: its name.
        uid: its UID.
        kubectl: kubectl with the token that the kubelet would mount into it.
    """

    name: str
    uid: str
    kubectl: Kubectl


def add_runner(kubectl: Kubectl) -> None:
    """Prepare a namespace for tasks, like `podrelay namespace prepare`."""
    api, namespace = QuickKubectl.instead_of(kubectl), f"namespaces/{kubectl.namespace}"
    account, binding = task_namespace.objects(kubectl.namespace)
    for path, manifest in (
        (f"/api/v1/{namespace}/serviceaccounts", account),
        (f"/apis/rbac.authorization.k8s.io/v1/{namespace}/rolebindings", binding),
    ):
        created = api.ask("POST", path, manifest)
        assert created, str(created)


def task_pod(kubectl: Kubectl, name: str, node: str, service_account: str = RUNNER) -> TaskPod:
    """Create a pod on `node` and get its token from the TokenRequest API, like the kubelet."""
    container = {"name": "task", "image": "registry.example/words:1"}
    manifest = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {
            "nodeName": node,
            "serviceAccountName": service_account,
            "terminationGracePeriodSeconds": 0,
            "containers": [container],
        },
    }
    uid = kubectl.do("create", "-f", "-", "--output", "jsonpath={.metadata.uid}", stdin=manifest)
    bound = ("--bound-object-kind", "Pod", "--bound-object-name", name, "--bound-object-uid", uid)
    token = kubectl.do("create", "token", service_account, *bound).strip()
    return TaskPod(name, uid, kubectl.as_token(token))


@contextmanager
def registered_node(kubectl: Kubectl) -> Iterator[str]:
    """Create a node without a kubelet. When it is deleted, the control plane removes the pods on it."""
    name = f"node-{uuid4().hex[:8]}"
    taint = {"key": "podrelay.dev/test", "value": name, "effect": "NoSchedule"}
    kubectl.do(
        "create",
        "-f",
        "-",
        stdin={"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}, "spec": {"taints": [taint]}},
    )
    try:
        yield name
    finally:
        kubectl("delete", "node", name, "--wait=false")
