"""The Helm chart, rendered by the real helm, and applied without its Deployment."""

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import yaml

from dev.cluster.tools import tool
from dev.harness.kubectl import Kubectl
from dev.harness.waiting import eventually

CHART = Path(__file__).parents[2] / "charts" / "podrelay"
RELEASE_NAMESPACE = "podrelay-system"

Manifest = dict[str, Any]


def helm(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run helm; the caller checks the exit code. Its own timeout is shorter than the one here, and has a message."""
    return subprocess.run(
        [str(tool("helm")), *arguments], capture_output=True, text=True, check=False, env=os.environ, timeout=180
    )


def render(values: Manifest | None = None) -> list[Manifest]:
    """Return the objects that the chart installs with these values."""
    sets = [f"--set-json={key}={json.dumps(value)}" for key, value in (values or {}).items()]
    rendered = helm("template", "podrelay", str(CHART), "--namespace", RELEASE_NAMESPACE, *sets)
    assert rendered.returncode == 0, rendered.stderr
    return [document for document in yaml.safe_load_all(rendered.stdout) if document]


def deploy(kubectl: Kubectl, values: Manifest) -> None:
    """Install or upgrade the release, and wait until its operators are ready.

    This uses helm and not kubectl: a client that patches a field owns it, and helm's next upgrade would be rejected.
    """
    done = helm(
        "upgrade",
        "--install",
        "podrelay",
        str(CHART),
        f"--kubeconfig={kubectl.kubeconfig}",
        f"--namespace={RELEASE_NAMESPACE}",
        "--create-namespace",
        "--reset-then-reuse-values",
        *(f"--set-json={key}={json.dumps(value)}" for key, value in values.items()),
        "--wait",
        "--timeout=120s",
    )
    assert done.returncode == 0, done.stderr


def install(kubectl: Kubectl) -> None:
    """Apply everything except the Deployment, and wait until the API server enforces the policies."""
    if not kubectl("get", "namespace", RELEASE_NAMESPACE):
        kubectl("create", "namespace", RELEASE_NAMESPACE)
    manifests = render({"operator.deploy": False})
    applied = kubectl.apply(*manifests, flags=("--server-side", "--force-conflicts"))
    assert applied, str(applied)
    crds = [f"crd/{m['metadata']['name']}" for m in manifests if m["kind"] == "CustomResourceDefinition"]
    kubectl.do("wait", "--for=condition=Established", "--timeout=30s", *crds)
    with _sentinel(kubectl) as is_refused:
        eventually("admission policies in force", is_refused)


@contextmanager
def _sentinel(kubectl: Kubectl) -> Iterator[Any]:
    """A policy created after all others. The API server loads policies together: if it is enforced, all others are."""
    name = f"podrelay-sentinel-{uuid4().hex[:8]}"
    policy = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": name},
        "spec": {
            "failurePolicy": "Ignore",
            "matchConstraints": {
                "resourceRules": [
                    {"apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"], "operations": ["CREATE"]}
                ]
            },
            "matchConditions": [{"name": "sentinel", "expression": f"object.metadata.name == '{name}'"}],
            "validations": [{"expression": "false", "message": "the policies are in force"}],
        },
    }
    binding = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": name},
        "spec": {"policyName": name, "validationActions": ["Deny"]},
    }

    def is_refused() -> bool:
        return "the policies are in force" in kubectl("create", "configmap", name, "--dry-run=server").stderr

    created = kubectl.create(policy, binding)
    assert created, str(created)
    try:
        yield is_refused
    finally:
        kubectl("delete", f"validatingadmissionpolicybinding/{name}", f"validatingadmissionpolicy/{name}")
