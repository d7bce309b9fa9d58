"""`podrelay dev`: the whole relay as one process tree on this computer, without a cluster.

The controllers of the operator and the gateway are the real ones. `api_server` gives them the API server in memory of
`podrelay.local` over HTTP, with `watching`, `discovery`, `tables` and `admission`; `node` runs its kubelet, with pods
as processes; `state` keeps all objects in a file. `modules` makes the TaskDefinitions and makes them again when a file
changes. `relay` puts all of that together, and `main` shows what happens on the terminal.
"""
