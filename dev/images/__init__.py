"""The container images of this checkout: `python -m dev.images build`.

| name | image | what it is |
|---|---|---|
| operator | podrelay:dev | the operator, and all other commands of `podrelay` |
| task | podrelay-task:dev | the base of task images: SDK, runner, pydantic |
| task-build | podrelay-task-build:dev | the same with pip, to add packages to task images |
| examples | podrelay-examples:dev | the tasks of `examples/`, on top of podrelay-task |

`base` finds or creates their base image, `parts` prepares the folders that the Dockerfile copies, `build` lets Docker
build the images that have changed, and `push` pushes them to a registry: `python -m dev.images push`.
"""
