"""The container images of this checkout: `python -m images build`.

| name | image | what it is |
|---|---|---|
| operator | podrelay:dev | the operator, and every other part of the `podrelay` command |
| task | podrelay-task:dev | what images of tasks are built on: SDK, runner, pydantic |
| examples | podrelay-examples:dev | the tasks of `examples/`, on top of podrelay-task |

`base` finds or makes the image below them, `parts` puts the folders together that the Dockerfile copies, and `build`
has Docker build whatever has changed since.
"""
