"""The container images of this checkout: `python -m images build`.

| name | image | what it is |
|---|---|---|
| operator | podrelay:dev | the operator, and every other part of the `podrelay` command |
| task | podrelay-task:dev | what images of tasks are built on: SDK, runner, pydantic |
| task-build | podrelay-task-build:dev | the same with pip: what adds packages to images of tasks |
| examples | podrelay-examples:dev | the tasks of `examples/`, on top of podrelay-task |

`base` finds or makes the image below them, `parts` puts the folders together that the Dockerfile copies, `build` has
Docker build whatever has changed since, and `push` brings it to a registry: `python -m images push`.
"""
