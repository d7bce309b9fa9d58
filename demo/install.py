"""Puts operator and gateway into the cluster: a namespace for tasks, the chart, and a user of the gateway."""

import json

from cluster.steps import step
from cluster.tools import tool
from demo.programs import NAMESPACE, SYSTEM, USER, Object, Programs
from images.build import OPERATOR


def install(programs: Programs) -> None:
    """Install or upgrade; return when the operator is ready."""
    tool("helm")
    # Tasks run under the strictest of Kubernetes' Pod Security Standards here.
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
            # `kubectl port-forward` speaks TLS with the cluster, and ends on this machine.
            "--set=gateway.behindTLSProxy=true",
            f"--set=gateway.defaultNamespace={NAMESPACE}",
            # A new image under the same tag takes a new pod.
            f"--set-string=operator.podAnnotations.image={image}",
            f"--set-string=gateway.podAnnotations.image={image}",
            "--wait",
            "--timeout=120s",
        )


def _user() -> Object:
    """A service account that may start, follow and end runs in the demo's namespace, and nothing else."""
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
