"""Creates the task service of a command from its flags, and completes names from that cluster."""

import functools
import inspect
from collections.abc import Callable
from typing import Annotated, Any, Concatenate, Final, ParamSpec

import typer

from podrelay.api.errors import PodrelayError
from podrelay.cli.tasks import parsing
from podrelay.client.service import TaskService

P = ParamSpec("P")


def complete_runs(ctx: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Return the ids of runs that begin with `incomplete`, newest first, with their phase."""
    return _completed(ctx, lambda service: [(run.id, run.phase) for run in service.list(limit=500)], incomplete)


def complete_definitions(ctx: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Return the ids and names of definitions that begin with `incomplete`, with their title."""

    def both(service: TaskService) -> list[tuple[str, str]]:
        found = service.definitions()
        return [(item.id, item.title) for item in found] + [(i.name, i.title) for i in found if i.name != i.id]

    return _completed(ctx, both, incomplete)


def _completed(
    ctx: typer.Context, find: Callable[[TaskService], list[tuple[str, str]]], incomplete: str
) -> list[tuple[str, str]]:
    wanted = {key: ctx.params.get(key) for key in ("namespace", "context", "kubeconfig")}
    try:
        with TaskService(**wanted, retry_seconds=0) as service:
            return [item for item in find(service) if item[0].startswith(incomplete)]
    except PodrelayError:
        return []  # a shell cannot show the reason


Namespace = Annotated[
    str | None, typer.Option("--namespace", "-n", metavar="NAME", help="Default: the namespace of the context.")
]
Context = Annotated[
    str | None, typer.Option("--context", metavar="NAME", help="Default: the current context of the kubeconfig.")
]
Kubeconfig = Annotated[str | None, typer.Option("--kubeconfig", metavar="FILE", help="Default: that of kubectl.")]
RunId = Annotated[str, typer.Argument(metavar="ID", parser=parsing.run_id, autocompletion=complete_runs)]
RunIds = Annotated[list[str], typer.Argument(metavar="ID...", parser=parsing.run_id, autocompletion=complete_runs)]
DefinitionFilter = Annotated[
    str | None,
    typer.Option(
        "--definition", "-d", metavar="NAME", help="Only runs of this definition.", autocompletion=complete_definitions
    ),
]

_FLAGS: Final = {"namespace": Namespace, "context": Context, "kubeconfig": Kubeconfig}


def connected(
    command: Callable[Concatenate[TaskService, P], int | None], *, has_namespace: bool = True
) -> Callable[..., None]:
    """Return a command with the flags that select a cluster, instead of the parameter `service`.

    The command returns the exit code; None means 0.

    Args:
        command: the command.
        has_namespace: whether the command has the flag --namespace.
    """
    named = {name: kind for name, kind in _FLAGS.items() if has_namespace or name != "namespace"}
    signature = inspect.signature(command)
    hints = inspect.get_annotations(command)
    own = list(signature.parameters.values())[1:]
    flags = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=kind)
        for name, kind in named.items()
    ]

    @functools.wraps(command)
    def wrapper(*args: Any, **kwargs: Any) -> None:
        place = {name: kwargs.pop(name, None) for name in named}
        with TaskService(**place) as service:
            code = command(service, *args, **kwargs)
        raise typer.Exit(code or 0)

    keyword_only = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in own]
    vars(wrapper)["__signature__"] = signature.replace(parameters=[*keyword_only, *flags], return_annotation=None)
    wrapper.__annotations__ = {name: hint for name, hint in hints.items() if name != "service"} | named
    del wrapper.__wrapped__
    return wrapper
