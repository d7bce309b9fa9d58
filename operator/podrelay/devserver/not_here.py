"""What a cluster has and `podrelay dev` does not have, and the error for those who ask for it."""

from collections.abc import Mapping
from typing import Final, NamedTuple

from podrelay.kube.errors import ApiError

PAGE: Final = "docs/dev.md"


class Missing(NamedTuple):
    """A kind of object that does not exist here.

    Attributes:
        kind: its name in CamelCase.
        is_namespaced: whether its objects belong to namespaces.
        why: why it does not exist.
    """

    kind: str
    is_namespaced: bool
    why: str


_NODES: Final = "there are no nodes: pods are processes on this computer"
_RBAC: Final = "there is no RBAC: every client may do everything"
_POLICIES: Final = "there are no admission policies or webhooks"
_QUOTAS: Final = "there are no quotas; --max-pods limits the number of pods"
_WORKLOADS: Final = "only tasks run here, no other workloads"
_NETWORK: Final = "pods are processes in the network of this computer"
_VOLUMES: Final = "pods are processes with the files of this computer, without volumes"
_CRDS: Final = "only the kinds of Podrelay exist here, and no others can be added"
_RBAC_GROUP: Final = "rbac.authorization.k8s.io"
_ADMISSION_GROUP: Final = "admissionregistration.k8s.io"

MISSING: Final[Mapping[tuple[str, str], Mapping[str, Missing]]] = {
    ("", "v1"): {
        "nodes": Missing("Node", False, _NODES),
        "persistentvolumes": Missing("PersistentVolume", False, _VOLUMES),
        "persistentvolumeclaims": Missing("PersistentVolumeClaim", True, _VOLUMES),
        "limitranges": Missing("LimitRange", True, _QUOTAS),
        "services": Missing("Service", True, _NETWORK),
    },
    ("apps", "v1"): {
        "deployments": Missing("Deployment", True, _WORKLOADS),
        "statefulsets": Missing("StatefulSet", True, _WORKLOADS),
        "daemonsets": Missing("DaemonSet", True, _WORKLOADS),
    },
    ("batch", "v1"): {
        "jobs": Missing("Job", True, _WORKLOADS),
        "cronjobs": Missing("CronJob", True, _WORKLOADS),
    },
    ("networking.k8s.io", "v1"): {
        "networkpolicies": Missing("NetworkPolicy", True, _NETWORK),
        "ingresses": Missing("Ingress", True, _NETWORK),
    },
    (_RBAC_GROUP, "v1"): {
        "roles": Missing("Role", True, _RBAC),
        "rolebindings": Missing("RoleBinding", True, _RBAC),
        "clusterroles": Missing("ClusterRole", False, _RBAC),
        "clusterrolebindings": Missing("ClusterRoleBinding", False, _RBAC),
    },
    (_ADMISSION_GROUP, "v1"): {
        "validatingadmissionpolicies": Missing("ValidatingAdmissionPolicy", False, _POLICIES),
        "validatingadmissionpolicybindings": Missing("ValidatingAdmissionPolicyBinding", False, _POLICIES),
        "validatingwebhookconfigurations": Missing("ValidatingWebhookConfiguration", False, _POLICIES),
        "mutatingwebhookconfigurations": Missing("MutatingWebhookConfiguration", False, _POLICIES),
    },
    ("apiextensions.k8s.io", "v1"): {
        "customresourcedefinitions": Missing("CustomResourceDefinition", False, _CRDS),
    },
}
"""By group and version, and by plural."""


def refusal(why: str) -> ApiError:
    """Return the error for a request for something that does not exist here."""
    return ApiError(405, "MethodNotAllowed", f"not possible with podrelay dev: {why}; use a cluster, or see {PAGE}")


def check(path: str) -> None:
    """Check that a path does not name a kind of object that only a cluster has.

    Raises:
        ApiError: 405, it does; the message says why.
    """
    root, *parts = path.strip("/").split("/")
    group, version = ("", *parts, "")[:2] if root == "api" else (*parts, "", "")[:2]
    known = MISSING.get((group, version), {})
    for part in parts:
        if part in known:
            raise refusal(known[part].why)
    if "pods" in parts and parts[-1] in {"exec", "attach", "portforward"}:
        raise refusal("pods are processes; use a debugger with `podrelay run --in-process`")
    if parts[-1:] == ["token"]:
        raise refusal(_RBAC)
