"""`podrelay`: finds the subcommand and runs it."""

import argparse
import importlib
import os
import shlex
import sys
from importlib.metadata import version
from pathlib import Path

from podrelay.api.errors import PodrelayError
from podrelay.cli import commands, exit_codes, leading_flags

EXAMPLES = """examples:
  podrelay manifests shop.tasks --image registry/shop:1 | kubectl apply -f -
  podrelay run shop.tasks:ImportProducts --input '{"url": "https://example.org/products"}'
  podrelay trigger importProducts --input '{"url": "https://example.org/products"}' --watch
  podrelay operator --kubeconfig ~/.kube/config

podrelay COMMAND --help shows more; podrelay --install-completion sets up the completion of your shell.
"""


def main() -> None:
    """Run `podrelay`, or `kubectl podrelay`, with the arguments of this process, and exit."""
    is_plugin = Path(sys.argv[0]).stem.startswith("kubectl")
    try:
        sys.exit(run(sys.argv[1:], "kubectl podrelay" if is_plugin else "podrelay"))
    except KeyboardInterrupt:  # before the command handles it itself: it is still being imported, for example
        sys.exit(exit_codes.INTERRUPTED)


def run(arguments: list[str], program: str = "podrelay") -> int:
    """Run `podrelay` and return the exit code: 0 success, 1 failure, 2 wrong usage; some commands have others.

    Args:
        arguments: the arguments after the program's name.
        program: the program's name, as the user calls it.
    """
    arguments = leading_flags.after_the_command(arguments)
    if commands.COMPLETE_VARIABLE in os.environ:
        leading_flags.complete_after_the_command(os.environ)
    name = next((argument for argument in arguments if not argument.startswith("-")), "")
    if misplaced := _misplaced(arguments):
        print(f"{program}: {arguments[0]} must follow the command: {program} {misplaced}", file=sys.stderr)
        return exit_codes.WRONG_USAGE
    try:
        if _is_for_cluster(name, arguments):
            code: int = importlib.import_module("podrelay.cli.tasks.app").run(arguments, program)
            return code
        return _run_locally(arguments, name, program)
    except ModuleNotFoundError as error:
        extra = commands.LOCAL[name].extra if name in commands.LOCAL else commands.CLUSTER_EXTRA
        if (error.name or "").split(".")[0] == "podrelay" or not extra:
            raise
        print(f"{program} {name} needs more packages: pip install 'podrelay[{extra}]'", file=sys.stderr)
        return exit_codes.WRONG_USAGE
    except PodrelayError as error:
        print(f"{program} {name}: {error}", file=sys.stderr)
        return exit_codes.TIMED_OUT if isinstance(error, TimeoutError) else 1


def _misplaced(arguments: list[str]) -> str:
    """Return the arguments in the right order if a command's own flag precedes it, else an empty string."""
    if not arguments or not arguments[0].startswith("-") or commands.COMPLETE_VARIABLE in os.environ:
        return ""
    place = next((at for at, word in enumerate(arguments) if word in {*commands.CLUSTER, *commands.LOCAL}), None)
    if place is None or {"-h", "--help", "--version"} & set(arguments[:place]):
        return ""
    return shlex.join([arguments[place], *arguments[:place], *arguments[place + 1 :]])


def _is_for_cluster(name: str, arguments: list[str]) -> bool:
    is_about_completion = commands.COMPLETE_VARIABLE in os.environ or arguments[:1] in (
        ["--install-completion"],
        ["--show-completion"],
    )
    return name in commands.CLUSTER or is_about_completion


def _run_locally(arguments: list[str], name: str, program: str) -> int:
    parser = argparse.ArgumentParser(
        prog=program,
        description="Long background work on Kubernetes as a relay of pods.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"podrelay {version('podrelay')}")
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command, about in commands.LOCAL.items():
        subparser = subparsers.add_parser(command, help=about.help, description=about.help.capitalize() + ".")
        if command == name:
            importlib.import_module(about.arguments).add_arguments(subparser)
    for command, other in commands.CLUSTER.items():
        subparsers.add_parser(command, help=other.help)
    parsed = parser.parse_args(arguments)
    code: int = importlib.import_module(commands.LOCAL[parsed.command].action).run(parsed)
    return code


if __name__ == "__main__":
    main()
