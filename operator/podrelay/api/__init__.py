"""The custom resources of Podrelay: models, names, limits. All else builds on this package; it imports nothing of ours.

`names` and `limits` need the standard library only, so that the runner in a task's pod starts fast; the resource models
need pydantic and are therefore imported by their module, for example `from podrelay.api.task_run import TaskRun`.
"""
