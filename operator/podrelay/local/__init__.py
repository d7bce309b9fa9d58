"""Tasks without a cluster: what `podrelay run` and `podrelay.testing` stand on.

The store, the planner, the executor and the runner are the real ones. What a cluster adds is here, as small as it can
be: an API server in memory (`memory_api`, `patches`, `schema`; the executor asks it through `memory_client`, pods
through `rest` and `server`), a kubelet that runs containers as processes or as calls (`kubelet`, `processes`, `calls`),
and time that can be skipped (`clock`). `world` puts them together, `outcome` tells what became of a run.
"""
