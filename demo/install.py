"""Puts the operator into the cluster: a namespace for tasks, and the chart."""

import json

from cluster.steps import step
from cluster.tools import tool
from demo.programs import NAMESPACE, SYSTEM, Programs
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
        repository, _, tag = OPERATOR.partition(":")
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
            # A new image under the same tag takes a new pod.
            f"--set-string=operator.podAnnotations.image={_image_id(programs)}",
            "--wait",
            "--timeout=120s",
        )


def _image_id(programs: Programs) -> str:
    return programs.call("docker", "image", "inspect", "--format={{.Id}}", OPERATOR).strip().removeprefix("sha256:")
