"""The objects that tasks need in their namespace: the service account of their pods, and its permissions.

`podrelay namespace prepare` applies these objects. The chart creates the same ones in its `taskNamespaces`; its file
task-namespace.yaml is generated from this module. Standard library only.
"""

from typing import Any, Final

from podrelay.api import names

LABELS: Final = {"app.kubernetes.io/name": "podrelay", "app.kubernetes.io/part-of": "podrelay"}
RUNNER_CLUSTER_ROLE: Final = "podrelay-runner"
"""The ClusterRole that the chart creates for task pods."""
_RBAC: Final = "rbac.authorization.k8s.io"


def objects(namespace: str) -> list[dict[str, Any]]:
    """Return the manifests of all objects that tasks need in a namespace, in the order in which to apply them.

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
