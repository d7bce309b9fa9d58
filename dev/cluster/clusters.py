"""The functions that the command line and the tests call, for all kinds of cluster."""

import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager

from dev.cluster import controlplane, external, kind
from dev.cluster.errors import ClusterError
from dev.cluster.locks import lock
from dev.cluster.model import KINDS, Cluster, Kind
from dev.cluster.paths import Checkout, here, make_private


def up(
    which: Kind,
    *,
    nodes: int | None = None,
    replace: bool = False,
    node_image: str | None = None,
    context: str | None = None,
) -> Cluster:
    """Start a cluster unless it is already up, and return it.

    Args:
        which: The kind of cluster.
        nodes: The number of nodes, one to three (default: that of the running cluster, or one); only for `kind`.
        replace: Whether a cluster with another number of nodes may be removed first; only for `kind`.
        node_image: A node image to use unchanged, instead of one pulled or built; only for `kind`.
        context: The kubeconfig context to use; only for `current`, where it is required.

    Raises:
        ClusterError: The cluster cannot be started; the message says why, the hint says what to do.
    """
    checkout = _checkout()
    with _alone(checkout, which):
        match which:
            case "control-plane":
                return controlplane.up(checkout)
            case "kind":
                return kind.up(checkout, nodes=nodes, image=node_image, replace=replace)
            case "current":
                return external.up(checkout, context)


def down(which: Kind) -> bool:
    """Remove a cluster and everything that belongs to it. Return whether there was anything to remove.

    A cluster of the kind `current` is only forgotten, because this package did not create it.
    """
    checkout = _checkout()
    with _alone(checkout, which):
        match which:
            case "control-plane":
                return controlplane.down(checkout)
            case "kind":
                return kind.down(checkout)
            case "current":
                return external.down(checkout)


def find(which: Kind) -> Cluster | None:
    """Return the cluster of this kind if it is up and responds."""
    checkout = _checkout()
    match which:
        case "control-plane":
            return controlplane.find(checkout)
        case "kind":
            return kind.find(checkout)
        case "current":
            return external.find(checkout)


def current() -> Cluster:
    """Return the cluster of this checkout that is up, if exactly one is."""
    found = [cluster for cluster in map(find, KINDS) if cluster]
    if len(found) == 1:
        return found[0]
    if not found:
        raise ClusterError("No cluster is up.", "Start one: python -m dev.cluster up kind")
    names = ", ".join(cluster.kind for cluster in found)
    raise ClusterError(f"Several clusters are up: {names}.", "Name one of them.")


def load(images: Sequence[str]) -> None:
    """Copy images of the Docker daemon that runs the `kind` cluster into each of its nodes."""
    checkout = _checkout()
    with _alone(checkout, "kind"):
        kind.load(checkout, images)


def _checkout() -> Checkout:
    if sys.platform != "linux":
        raise ClusterError("Clusters of this project run on Linux only.", "Use `up current --context NAME` from Linux.")
    return here()


def _alone(checkout: Checkout, which: Kind) -> AbstractContextManager[None]:
    """Return a lock that makes commands for the same cluster run one after the other."""
    return lock(make_private(checkout.state) / f"{which}.lock", f"another command for the cluster {which} to end")
