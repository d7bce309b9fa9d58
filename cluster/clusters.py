"""The verbs of this package, for all kinds of cluster: what the command line and the tests call."""

import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager

from cluster import controlplane, external, kind
from cluster.errors import ClusterError
from cluster.locks import lock
from cluster.model import KINDS, Cluster, Kind
from cluster.paths import Checkout, here, make_private


def up(
    which: Kind,
    *,
    nodes: int | None = None,
    replace: bool = False,
    node_image: str | None = None,
    context: str | None = None,
) -> Cluster:
    """Bring a cluster up, or find that it is up already.

    Args:
        which: The kind of cluster.
        nodes: How many nodes, one to three (default: as many as are up, else one); only for `kind`.
        replace: Whether a cluster of another number of nodes may be taken down first; only for `kind`.
        node_image: A node image to use as it is, instead of one pulled or built; only for `kind`.
        context: The kubeconfig context to use; only for `current`, and needed there.

    Raises:
        ClusterError: It cannot be had; the message says why, the hint what to do.
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
    """Take a cluster down, with everything that belongs to it; says whether there was anything.

    A cluster of the kind `current` is only forgotten: it is not ours to end.
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
    """The cluster of this kind, if it is up and answers."""
    checkout = _checkout()
    match which:
        case "control-plane":
            return controlplane.find(checkout)
        case "kind":
            return kind.find(checkout)
        case "current":
            return external.find(checkout)


def current() -> Cluster:
    """The one cluster of this checkout that is up."""
    found = [cluster for cluster in map(find, KINDS) if cluster]
    if len(found) == 1:
        return found[0]
    if not found:
        raise ClusterError("No cluster is up.", "Bring one up: python -m cluster up kind")
    names = ", ".join(cluster.kind for cluster in found)
    raise ClusterError(f"Several clusters are up: {names}.", "Say which one you mean.")


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
    """Two commands about the same cluster run one after the other."""
    return lock(make_private(checkout.state) / f"{which}.lock", f"another command about the cluster {which} to end")
