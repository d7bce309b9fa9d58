"""Namespaces of a test's own."""

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

from tests.support.kubectl import Kubectl
from tests.support.waiting import eventually


@contextmanager
def temporary_namespace(kubectl: Kubectl) -> Iterator[Kubectl]:
    """kubectl in a new namespace, which is deleted at the end; nobody waits until it is gone."""
    name = f"test-{uuid4().hex[:8]}"
    kubectl.do("create", "namespace", name)
    inside = kubectl.in_namespace(name)
    # Pods are refused until the control plane has made this account.
    eventually("service account default", lambda: inside("get", "serviceaccount", "default"))
    try:
        yield inside
    finally:
        kubectl("delete", "namespace", name, "--wait=false")
