"""`podrelay`: finds the subcommand and runs it."""

import argparse
import importlib
import sys
from dataclasses import dataclass
from importlib.metadata import version

from podrelay.api.errors import PodrelayError

EXAMPLES = """examples:
  podrelay manifests shop.tasks --image registry/shop:1 | kubectl apply -f -
  podrelay run shop.tasks:ImportProducts --input '{"url": "https://example.org/products"}'
  podrelay operator --kubeconfig ~/.kube/config
"""


@dataclass(frozen=True)
class _Command:
    help: str
    arguments: str
    """Module with add_arguments(parser)."""
    action: str
    """Module with run(arguments) -> exit code."""
    extra: str
    """What pip has to install besides podrelay itself."""


_COMMANDS = {
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
        "podrelay.reconciler.options",
        "podrelay.reconciler.main",
        "operator",
    ),
}


def main() -> None:
    """Run `podrelay` with the arguments of this process, and end it."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run `podrelay` with `arguments` and return the exit code: 0 all well, 1 failed, 2 wrong usage."""
    name = next((argument for argument in arguments if not argument.startswith("-")), "")
    parser = argparse.ArgumentParser(
        prog="podrelay",
        description="Long background work on Kubernetes as a relay of pods.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"podrelay {version('podrelay')}")
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    try:
        for command, about in _COMMANDS.items():
            subparser = subparsers.add_parser(command, help=about.help, description=about.help.capitalize() + ".")
            if command == name:
                importlib.import_module(about.arguments).add_arguments(subparser)
        parsed = parser.parse_args(arguments)
        chosen = _COMMANDS[parsed.command]
        code: int = importlib.import_module(chosen.action).run(parsed)
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] == "podrelay" or name not in _COMMANDS or not _COMMANDS[name].extra:
            raise
        print(f"podrelay {name} needs more packages: pip install 'podrelay[{_COMMANDS[name].extra}]'", file=sys.stderr)
        return 2
    except PodrelayError as error:
        print(f"podrelay {name}: {error}", file=sys.stderr)
        return 1
    return code


if __name__ == "__main__":
    main()
