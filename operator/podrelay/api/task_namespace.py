"""What a namespace needs so that tasks can run in it: the service account of their pods, and its rights there.

`podrelay namespace prepare` applies these objects. The chart makes the same ones in its `taskNamespaces`: its file
task-namespace.yaml is generated from here. Standard library only.
"""

from typing import Any, Final

from podrelay.api import names

LABELS: Final = {"app.kubernetes.io/name": "podrelay", "app.kubernetes.io/part-of": "podrelay"}
RUNNER_CLUSTER_ROLE: Final = "podrelay-runner"
"""The ClusterRole that the chart makes for task pods."""
_RBAC: Final = "rbac.authorization.k8s.io"


def objects(namespace: str) -> list[dict[str, Any]]:
    """Return the manifests of all that tasks need in a namespace, besides the namespace itself, in order.

    Args:
        namespace: the name of the namespace.
    """
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": _metadata(namespace)}
    binding = {
        "apiVersion": f"{_RBAC}/v1",
        "kind": "RoleBinding",
        "metadata": _metadata(namespace),
        "roleRef": {"apiGroup": _RBAC, "kind": "ClusterRole", "name": RUNNER_CLUSTER_ROLE},
        "subjects": [{"kind": "ServiceAccount", "name": names.RUNNER_SERVICE_ACCOUNT, "namespace": namespace}],
    }
    return [account, binding]


def _metadata(namespace: str) -> dict[str, Any]:
    return {"name": names.RUNNER_SERVICE_ACCOUNT, "namespace": namespace, "labels": dict(LABELS)}
