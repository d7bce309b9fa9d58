"""`podrelay namespace prepare`: makes what tasks need in a namespace."""

import sys
from enum import StrEnum
from typing import Annotated

import typer

from podrelay.client.preparing import Preparation
from podrelay.client.service import TaskService


class Action(StrEnum):
    """What can be done to namespaces."""

    PREPARE = "prepare"


def namespace(
    service: TaskService,
    action: Annotated[Action, typer.Argument(metavar="prepare", help="Make what tasks need in it.")],
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="Of namespaces; made if they are not there.")],
) -> None:
    """Make what tasks need in a namespace: it itself, the service account podrelay-runner, and its RoleBinding.

    The chart makes the same in its taskNamespaces. What is there already stays, so it can be run again. It takes the
    rights to create these, and says what is left to do until an operator watches the namespace.
    """
    del action  # there is only one
    for name in names:
        preparation = Preparation(service._client, service._resources, name)
        for step in preparation.steps():
            print(f"{step.what} {step.done}", flush=True)
        watching = preparation.watching()
        print(watching.message, file=sys.stdout if watching.is_certain else sys.stderr)
