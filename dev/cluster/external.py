"""The `current` cluster: an existing cluster, selected by the kubeconfig context that the user names.

There is no default context, so it is never used by accident. Only the named context is copied into a kubeconfig of this
checkout, so switching contexts elsewhere later does not change the cluster that tests use.
"""

import shutil
from typing import Final

from dev.cluster import kubectl
from dev.cluster.errors import ClusterError
from dev.cluster.model import Cluster
from dev.cluster.paths import Checkout, make_private, which, write_atomic
from dev.cluster.steps import ask, step
from dev.cluster.tools import tool

KIND: Final = "current"


def up(checkout: Checkout, context: str | None) -> Cluster:
    """Check that the cluster of the named context responds, and remember it."""
    if not context:
        raise ClusterError("No context was given.", "Name the kubeconfig context: up current --context NAME")
    program = which("kubectl") or str(tool("kubectl"))
    selected = ["config", "view", "--minify", "--flatten", "--raw", f"--context={context}"]
    copied = ask([program, *selected])
    if copied is None:
        known = (ask([program, "config", "get-contexts", "--output=name"]) or "").split()
        raise ClusterError(f"There is no context {context}.", f"Known contexts: {', '.join(known) or 'none'}")
    down(checkout)
    kubeconfig = make_private(checkout.of(KIND)) / "kubeconfig"
    write_atomic(kubeconfig, copied)
    with step(f"ask the API server of context {context}"):
        version = kubectl.version(kubeconfig)
    if version is None:
        down(checkout)
        raise ClusterError(
            f"The cluster of context {context} does not respond.", "Check that it is up and that you are logged in."
        )
    cluster = Cluster(
        kind=KIND,
        name=context,
        kubeconfig=kubeconfig,
        server=ask([program, "--kubeconfig", kubeconfig, "config", "view", "--output=jsonpath={..server}"]) or "?",
        version=version,
        bin=checkout.bin,
    )
    return cluster.save(checkout)


def find(checkout: Checkout) -> Cluster | None:
    """Return the remembered cluster if it still responds."""
    cluster = Cluster.load(checkout, KIND)
    return cluster if cluster and kubectl.answers(cluster.kubeconfig, "/version") else None


def down(checkout: Checkout) -> bool:
    """Forget the cluster, which itself is left alone."""
    folder = checkout.of(KIND)
    if not folder.exists():
        return False
    shutil.rmtree(folder)
    return True
