"""The custom resources of Podrelay: models, names, limits. Every other package may import this one; it imports none.

`names` and `limits` need only the standard library, so that the runner in a task's pod starts fast. The resource models
need pydantic, so import each from its own module, for example `from podrelay.api.task_run import TaskRun`.
"""
