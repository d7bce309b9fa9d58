"""Temporary namespaces for tests."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

from dev.harness.kubectl import Kubectl
from dev.harness.waiting import eventually
from podrelay.api import names
from tests.support.quick import QuickKubectl


@contextmanager
def temporary_namespace(kubectl: Kubectl, name: str | None = None) -> Iterator[Kubectl]:
    """kubectl in a new namespace, which is deleted at the end, without waiting until it is gone.

    The finalizers of its pods are removed, because there may be no operator left to do that.
    """
    name = name or f"test-{uuid4().hex[:8]}"
    api = QuickKubectl.instead_of(kubectl)
    created = api.ask("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
    assert created, str(created)
    # Pods are rejected until the control plane has created this account.
    account = f"/api/v1/namespaces/{name}/serviceaccounts/default"
    eventually("service account default", lambda: api.ask("GET", account))
    try:
        yield kubectl.in_namespace(name)
    finally:
        api.ask("DELETE", f"/api/v1/namespaces/{name}")
        pods = f"/api/v1/namespaces/{name}/pods"
        for pod in json.loads(api.ask("GET", pods).stdout or "{}").get("items", []):
            if names.ANSWER_FINALIZER in pod["metadata"].get("finalizers", ()):
                patch = {"metadata": {"finalizers": None}}
                api.ask("PATCH", f"{pods}/{pod['metadata']['name']}", patch, "merge-patch+json")
