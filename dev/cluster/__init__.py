"""Clusters for the demo and the tests, each from one command: `python -m dev.cluster up KIND`.

From Python:

    from dev.cluster import up, down

    cluster = up("control-plane")
    subprocess.run(["kubectl", "get", "nodes"], env=os.environ | cluster.env)
    down("control-plane")

There are three kinds. `control-plane` is the Kubernetes API without nodes, as ordinary processes. `kind` has real nodes
and pods. `current` is an existing cluster, selected by the kubeconfig context that the caller names. See README.md.

Standard library only: this package runs before the project's own environment exists.
"""

from dev.cluster.clusters import current, down, find, load, up
from dev.cluster.errors import ClusterError
from dev.cluster.model import KINDS, Cluster, Kind

__all__ = ["KINDS", "Cluster", "ClusterError", "Kind", "current", "down", "find", "load", "up"]
