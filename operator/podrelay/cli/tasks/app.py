"""The typer application with all commands that talk to a cluster."""

import pkgutil

import typer

from podrelay.cli import commands
from podrelay.cli.tasks import schedules
from podrelay.cli.tasks.connecting import connected


def application(program: str) -> typer.Typer:
    """Return the commands; those of `commands.LOCAL` are included only for the completion of their names.

    Args:
        program: the program's name, as the user calls it, for the examples.
    """
    app = typer.Typer(
        name="podrelay",
        help="Long background work on Kubernetes as a relay of pods.",
        no_args_is_help=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    for name, command in commands.CLUSTER.items():
        if name == schedules.GROUP:
            app.add_typer(schedules.application(program), name=name)
            continue
        function = pkgutil.resolve_name(f"podrelay.cli.tasks.{command.function}")
        epilog = f"\b\nExample:\n  {command.example.replace('podrelay', program, 1)}"
        app.command(name, help=function.__doc__, epilog=epilog)(connected(function, has_namespace=name != "namespace"))
    for name, local in commands.LOCAL.items():
        app.command(name, help=local.help)(_elsewhere)
    return app


def _elsewhere() -> None:
    """Stand for a command that `podrelay.cli.main` runs itself."""


def run(arguments: list[str], program: str) -> int:
    """Run a command and return the exit code.

    Args:
        arguments: the command's name and its arguments.
        program: the program's name, as the user calls it: podrelay, or kubectl podrelay.

    Raises:
        PodrelayError: the command failed; the message says why.
    """
    try:
        application(program)(arguments, prog_name=program, complete_var=commands.COMPLETE_VARIABLE)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0
    return 0
