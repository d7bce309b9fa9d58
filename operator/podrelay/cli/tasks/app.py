"""The typer application with all commands that talk to a cluster."""

from typing import Any, Final

import typer

from podrelay.cli import main
from podrelay.cli.tasks import backup, doctor, logs, looking, namespaces, starting, steering, top, waiting
from podrelay.cli.tasks.connecting import connected

_COMMANDS: Final[dict[str, tuple[Any, str]]] = {
    "trigger": (
        starting.trigger,
        """podrelay trigger importProducts --input '{"url": "https://example.org/products"}' --watch""",
    ),
    "list": (looking.list_runs, "podrelay list --definition importProducts --status failed --after 1d"),
    "get": (looking.get, "podrelay get import-products-4mpkouuin4fr"),
    "wait": (waiting.wait, "podrelay wait import-products-4mpkouuin4fr --timeout 10m"),
    "logs": (logs.logs, "podrelay logs import-products-4mpkouuin4fr --follow"),
    "abort": (steering.abort, "podrelay abort import-products-4mpkouuin4fr --cascade -m 'wrong file'"),
    "rerun": (starting.rerun, "podrelay rerun import-products-4mpkouuin4fr --watch"),
    "suspend": (steering.suspend, "podrelay suspend import-products-4mpkouuin4fr"),
    "resume": (steering.resume, "podrelay resume import-products-4mpkouuin4fr"),
    "delete": (steering.delete, "podrelay delete import-products-4mpkouuin4fr"),
    "children": (looking.children, "podrelay children import-products-4mpkouuin4fr"),
    "definitions": (looking.definitions, "podrelay definitions -o wide"),
    "doctor": (doctor.doctor, "podrelay doctor -n shop"),
    "export": (backup.export, "podrelay export -n shop --file shop.jsonl"),
    "import": (backup.restore, "podrelay import -n shop shop.jsonl"),
    "top": (top.top, "podrelay top --all-namespaces"),
    "namespace": (namespaces.namespace, "podrelay namespace prepare shop"),
}


def application(program: str) -> typer.Typer:
    """Return the commands; those that are parsed elsewhere stand there for the completion of their names.

    Args:
        program: how the user calls it, for examples.
    """
    app = typer.Typer(
        name="podrelay",
        help="Long background work on Kubernetes as a relay of pods.",
        no_args_is_help=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    for name, (command, example) in _COMMANDS.items():
        epilog = f"\b\nExample:\n  {example.replace('podrelay', program, 1)}"
        app.command(name, help=command.__doc__, epilog=epilog)(connected(command, has_namespace=name != "namespace"))
    for name, about in main.LOCAL_COMMANDS.items():
        app.command(name, help=about.help)(_elsewhere)
    return app


def _elsewhere() -> None:
    """Commands that `podrelay.cli.main` runs never come here."""


def run(arguments: list[str], program: str) -> int:
    """Run a command and return the exit code.

    Args:
        arguments: the command's name and what follows.
        program: how the user calls it: podrelay, or kubectl podrelay.

    Raises:
        PodrelayError: it could not be done; the message says why.
    """
    try:
        application(program)(arguments, prog_name=program, complete_var=main.COMPLETE_VARIABLE)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0
    return 0
