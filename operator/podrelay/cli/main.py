"""`podrelay`: finds the subcommand and runs it."""

import argparse
import importlib
import os
import shlex
import sys
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Final

from podrelay.api.errors import PodrelayError
from podrelay.cli import leading

EXAMPLES = """examples:
  podrelay manifests shop.tasks --image registry/shop:1 | kubectl apply -f -
  podrelay run shop.tasks:ImportProducts --input '{"url": "https://example.org/products"}'
  podrelay trigger importProducts --input '{"url": "https://example.org/products"}' --watch
  podrelay operator --kubeconfig ~/.kube/config

podrelay COMMAND --help tells more; podrelay --install-completion teaches your shell.
"""
TIMED_OUT: Final = 124
"""Exit code of what was waited for in vain, as that of `timeout`."""
COMPLETE_VARIABLE: Final = "_PODRELAY_COMPLETE"
"""Set by the shell when it asks for completions."""


@dataclass(frozen=True)
class _Command:
    help: str
    arguments: str
    """Module with add_arguments(parser)."""
    action: str
    """Module with run(arguments) -> exit code."""
    extra: str
    """What pip has to install besides podrelay itself."""


LOCAL_COMMANDS = {
    "gateway": _Command(
        "run the GraphQL gateway",
        "podrelay.gateway.options",
        "podrelay.gateway.main",
        "gateway",
    ),
    "manifests": _Command(
        "print the TaskDefinitions of a module",
        "podrelay.cli.manifests",
        "podrelay.cli.manifests",
        "",
    ),
    "run": _Command(
        "run a task here, without a cluster",
        "podrelay.cli.run",
        "podrelay.cli.run",
        "",
    ),
    "operator": _Command(
        "run the operator",
        "podrelay.operator.options",
        "podrelay.operator.main",
        "operator",
    ),
    "cleanup": _Command(
        "let pods go after the operator was removed",
        "podrelay.cli.cleanup",
        "podrelay.cli.cleanup",
        "operator",
    ),
}


CLUSTER_COMMANDS: Final = {
    "trigger": "start a run",
    "list": "list runs",
    "get": "show one run",
    "wait": "wait for the end of runs",
    "logs": "print the log lines of a run",
    "abort": "tell runs to stop",
    "rerun": "start a run again",
    "suspend": "start no further pods of runs",
    "resume": "let suspended runs go on",
    "delete": "delete runs",
    "children": "show a run with its descendants",
    "definitions": "list what can run",
    "doctor": "find out why runs do not run",
    "export": "write a namespace into a file",
    "import": "restore what was exported",
    "top": "show the runs that are under way, live",
    "namespace": "prepare a namespace for tasks",
}
"""Those of podrelay.cli.tasks, which parses their flags, too."""
CLUSTER_EXTRA: Final = "cli"


def main() -> None:
    """Run `podrelay`, or `kubectl podrelay`, with the arguments of this process, and end it."""
    is_plugin = Path(sys.argv[0]).stem.startswith("kubectl")
    sys.exit(run(sys.argv[1:], "kubectl podrelay" if is_plugin else "podrelay"))


def run(arguments: list[str], program: str = "podrelay") -> int:
    """Run `podrelay` with `arguments` and return the exit code: 0 all well, 1 failed, 2 wrong usage, others by command.

    Args:
        arguments: what follows the program's name.
        program: how the user calls it.
    """
    arguments = leading.behind_the_command(arguments)
    if COMPLETE_VARIABLE in os.environ:
        leading.complete_behind_the_command(os.environ)
    name = next((argument for argument in arguments if not argument.startswith("-")), "")
    if misplaced := _misplaced(arguments):
        print(f"{program}: {arguments[0]} stands behind the command: {program} {misplaced}", file=sys.stderr)
        return 2
    try:
        if _is_for_cluster(name, arguments):
            code: int = importlib.import_module("podrelay.cli.tasks.app").run(arguments, program)
            return code
        return _run_locally(arguments, name, program)
    except ModuleNotFoundError as error:
        extra = LOCAL_COMMANDS[name].extra if name in LOCAL_COMMANDS else CLUSTER_EXTRA
        if (error.name or "").split(".")[0] == "podrelay" or not extra:
            raise
        print(f"{program} {name} needs more packages: pip install 'podrelay[{extra}]'", file=sys.stderr)
        return 2
    except PodrelayError as error:
        print(f"{program} {name}: {error}", file=sys.stderr)
        return TIMED_OUT if isinstance(error, TimeoutError) else 1


def _misplaced(arguments: list[str]) -> str:
    """Return the arguments in their right order if a command's own flag stands before it, else an empty text."""
    if not arguments or not arguments[0].startswith("-") or COMPLETE_VARIABLE in os.environ:
        return ""
    place = next((at for at, word in enumerate(arguments) if word in {*CLUSTER_COMMANDS, *LOCAL_COMMANDS}), None)
    if place is None or {"-h", "--help", "--version"} & set(arguments[:place]):
        return ""
    return shlex.join([arguments[place], *arguments[:place], *arguments[place + 1 :]])


def _is_for_cluster(name: str, arguments: list[str]) -> bool:
    is_about_completion = COMPLETE_VARIABLE in os.environ or arguments[:1] in (
        ["--install-completion"],
        ["--show-completion"],
    )
    return name in CLUSTER_COMMANDS or is_about_completion


def _run_locally(arguments: list[str], name: str, program: str) -> int:
    parser = argparse.ArgumentParser(
        prog=program,
        description="Long background work on Kubernetes as a relay of pods.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"podrelay {version('podrelay')}")
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command, about in LOCAL_COMMANDS.items():
        subparser = subparsers.add_parser(command, help=about.help, description=about.help.capitalize() + ".")
        if command == name:
            importlib.import_module(about.arguments).add_arguments(subparser)
    for command, words in CLUSTER_COMMANDS.items():
        subparsers.add_parser(command, help=words)
    parsed = parser.parse_args(arguments)
    code: int = importlib.import_module(LOCAL_COMMANDS[parsed.command].action).run(parsed)
    return code


if __name__ == "__main__":
    main()
