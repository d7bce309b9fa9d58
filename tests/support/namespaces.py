"""Namespaces of a test's own."""

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

from tests.support.kubectl import Kubectl
from tests.support.quick import QuickKubectl
from tests.support.waiting import eventually


@contextmanager
def temporary_namespace(kubectl: Kubectl) -> Iterator[Kubectl]:
    """kubectl in a new namespace, which is deleted at the end; nobody waits until it is gone."""
    name = f"test-{uuid4().hex[:8]}"
    api = QuickKubectl.instead_of(kubectl)
    created = api.ask("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
    assert created, str(created)
    # Pods are refused until the control plane has made this account.
    account = f"/api/v1/namespaces/{name}/serviceaccounts/default"
    eventually("service account default", lambda: api.ask("GET", account))
    try:
        yield kubectl.in_namespace(name)
    finally:
        api.ask("DELETE", f"/api/v1/namespaces/{name}")
