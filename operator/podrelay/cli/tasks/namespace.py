"""`podrelay namespace prepare`: creates what tasks need in a namespace."""

import sys
from typing import Annotated, Literal

import typer

from podrelay.client.preparing import Preparation
from podrelay.client.service import TaskService


def namespace(
    service: TaskService,
    action: Annotated[Literal["prepare"], typer.Argument(metavar="prepare", help="Create what tasks need in it.")],
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="Names of namespaces; created if missing.")],
) -> None:
    """Create what tasks need: the namespace itself, the service account podrelay-runner, and its RoleBinding.

    The chart creates the same in its taskNamespaces. Existing objects are kept, so it can be run again. You need the
    rights to create these objects. If no operator watches the namespace, the command says what to do about it.
    """
    del action  # there is only one action
    for name in names:
        preparation = Preparation(service._client, service._resources, name)
        for step in preparation.steps():
            print(f"{step.what} {step.done}", flush=True)
        watching = preparation.watching()
        print(watching.message, file=sys.stdout if watching.is_certain else sys.stderr)
