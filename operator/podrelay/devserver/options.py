"""Command-line flags of `podrelay dev`; this module imports nothing slow."""

import argparse
import os
from pathlib import Path
from typing import Final

DEFAULT_PORT: Final = 8090
MAX_PORT: Final = 65_535
DEFAULT_KUBECONFIG: Final = Path(".podrelay", "kubeconfig")
_EPILOG: Final = """examples:
  podrelay dev tasks.py
  podrelay dev shop.tasks --state .podrelay/state

Then, in another terminal:
  export KUBECONFIG=.podrelay/kubeconfig
  podrelay trigger importProducts --watch
  kubectl get trun

Ctrl-C ends everything. What differs from a cluster: docs/dev.md.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of this command to `parser`."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = _EPILOG
    parser.add_argument(
        "modules",
        metavar="MODULE",
        nargs="*",
        type=_module,
        help="a module with tasks: importable from the current folder, or a path to a .py file",
    )
    parser.add_argument(
        "--port",
        type=_port,
        default=DEFAULT_PORT,
        metavar="PORT",
        help="port of the gateway; 0: any; default: %(default)s",
    )
    parser.add_argument(
        "--api-port", type=_port, metavar="PORT", help="port of the API server; default: the one after --port, or any"
    )
    parser.add_argument(
        "--kubeconfig",
        type=Path,
        default=DEFAULT_KUBECONFIG,
        metavar="FILE",
        help="write a kubeconfig for this relay into this file; default: %(default)s",
    )
    parser.add_argument(
        "--state", type=Path, metavar="FOLDER", help="keep all objects in this folder; default: forget them at the end"
    )
    parser.add_argument(
        "--max-pods",
        type=_positive,
        default=max(4, 2 * (os.cpu_count() or 1)),
        metavar="N",
        help="at most N pods run at the same time; the others wait in a queue; default: %(default)s here",
    )
    parser.add_argument(
        "--without-operator",
        action="store_true",
        help="run no operator, so that you can run `podrelay operator` yourself, for example in a debugger",
    )
    parser.add_argument("--quiet", "-q", action="store_true", help="print only the addresses and errors")
    parser.add_argument(
        "--output", "-o", choices=("text", "json"), default="text", help="json: one JSON object a line, on stdout"
    )
    parser.add_argument("--verbose", action="store_true", help="also print the log of operator and gateway")


def _module(text: str) -> str:
    module, colon, _ = text.partition(":")
    if colon:
        raise argparse.ArgumentTypeError(f"name the module alone, {module!r}: all of its task definitions are used")
    return text


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > MAX_PORT:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 to {MAX_PORT}")
    return int(text)


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is less than 1")
    return number
