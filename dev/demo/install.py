"""Installs operator and gateway: a namespace for tasks, the chart, and a user of the gateway."""

import json

from dev.cluster.steps import step
from dev.cluster.tools import tool
from dev.demo.programs import NAMESPACE, SYSTEM, USER, Object, Programs
from dev.images.build import OPERATOR


def install(programs: Programs) -> None:
    """Install or upgrade, and wait until the operator is ready."""
    tool("helm")
    # In this namespace, tasks run under the strictest of the Pod Security Standards of Kubernetes.
    namespace = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": NAMESPACE, "labels": {"pod-security.kubernetes.io/enforce": "restricted"}},
    }
    with step("helm upgrade --install podrelay charts/podrelay", 10):
        programs.kubectl("apply", "--filename=-", stdin=json.dumps(namespace))
        programs.kubectl("apply", "--filename=-", stdin=json.dumps(_user()))
        repository, _, tag = OPERATOR.partition(":")
        image = _image_id(programs)
        programs.call(
            "helm",
            "upgrade",
            "--install",
            "podrelay",
            "charts/podrelay",
            f"--namespace={SYSTEM}",
            "--create-namespace",
            f"--set=image.repository={repository}",
            f"--set=image.tag={tag}",
            f"--set=taskNamespaces={{{NAMESPACE}}}",
            "--set=gateway.deploy=true",
            "--set=gateway.replicas=1",
            # `kubectl port-forward` uses TLS to the cluster, and plain HTTP is used only on this machine.
            "--set=gateway.behindTLSProxy=true",
            f"--set=gateway.defaultNamespace={NAMESPACE}",
            # A new image with the same tag needs a new pod.
            f"--set-string=operator.podAnnotations.image={image}",
            f"--set-string=gateway.podAnnotations.image={image}",
            "--wait",
            "--timeout=120s",
        )


def _user() -> Object:
    """Return a service account that may only start, follow and abort runs in the demo's namespace."""
    about = {"name": USER, "namespace": NAMESPACE}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "podrelay-user"}
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": about,
        "roleRef": role,
        "subjects": [{"kind": "ServiceAccount", **about}],
    }
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": about}
    return {"apiVersion": "v1", "kind": "List", "items": [account, binding]}


def _image_id(programs: Programs) -> str:
    return programs.call("docker", "image", "inspect", "--format={{.Id}}", OPERATOR).strip().removeprefix("sha256:")
