"""Clusters for the demo and the tests, each from one command: `python -m cluster up KIND`.

From Python:

    from cluster import up, down

    cluster = up("control-plane")
    subprocess.run(["kubectl", "get", "nodes"], env=os.environ | cluster.env)
    down("control-plane")

There are three kinds. `control-plane` is the Kubernetes API without nodes, as ordinary processes. `kind` has real nodes
and pods. `current` is an existing cluster, selected by the kubeconfig context that the caller names. See README.md.

Standard library only: this package runs before the project's own environment exists.
"""

from cluster.clusters import current, down, find, load, up
from cluster.errors import ClusterError
from cluster.model import KINDS, Cluster, Kind

__all__ = ["KINDS", "Cluster", "ClusterError", "Kind", "current", "down", "find", "load", "up"]
