"""Runs tasks without a cluster, for `podrelay run` and `podrelay.testing`.

Store, planner, executor and runner are the real ones. This package has minimal substitutes for the parts of a cluster:
an API server in memory (`memory_api`, `patches`, `schema`; the executor uses it through `memory_client`, pods through
`rest` and `server`), a kubelet that runs containers as processes or as calls (`kubelet`, `processes`, `calls`), and a
clock that can skip time (`clock`). `world` combines them, `outcome` has the results of runs.
"""
