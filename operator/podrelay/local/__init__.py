"""Tasks without a cluster: what `podrelay run` and `podrelay.testing` stand on.

The planner, the pod builder and the runner are the real ones. What a cluster adds is here, as small as it can be: an
API server in memory (`api`, `schema`, `rest`, `server`), the actions of the planner carried out on it (`actions`), a
kubelet that runs containers as processes or as calls (`kubelet`, `processes`, `calls`), and time that can be skipped
(`clock`). `world` puts them together, `outcome` tells what became of a run.
"""
