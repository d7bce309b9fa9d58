"""The operator: it watches TaskRuns, decides what happens next, and makes it happen.

The way of one TaskRun through this package: `app` and `kube.reflector` put what the API server says into the `store`
and mark the run's key in the `queue`; a worker of the `loop` takes the key, the store puts a `view` together, the
`planner` answers with a plan, and the `executor` carries it out.
"""
