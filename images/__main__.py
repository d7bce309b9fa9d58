"""`python -m images build [IMAGE...]`: build what has changed, load it into the kind cluster."""

import argparse
import sys
from collections.abc import Sequence

from cluster import ClusterError, find, load
from cluster.steps import say
from images.base import Wish
from images.build import IMAGES, LOADED, build

EPILOG = """
examples:
  python -m images build              all of them
  python -m images build operator     only the operator's, for example after a change of its code
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the exit code is 0, 1 for a failure and 2 for a wrong command line."""
    parser = argparse.ArgumentParser(
        prog="python -m images",
        description="Builds the container images with Docker and loads them into the kind cluster, if that is up.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("command", choices=("build",))
    parser.add_argument("images", nargs="*", type=_name, metavar="IMAGE", help=f"default: {' '.join(IMAGES)}")
    parser.add_argument(
        "--base",
        metavar="IMAGE",
        help="stand on this one, such as python:3.13-slim@sha256:...; default: what is there, else the newest",
    )
    parser.add_argument(
        "--refresh", action="store_true", help="get the base image anew, with the security fixes of today"
    )
    options = parser.parse_args(arguments)
    names = tuple(options.images) or tuple(IMAGES)
    try:
        build(names, Wish(options.base, options.refresh))
        _load([IMAGES[name] for name in names if name in LOADED])
    except ClusterError as error:
        print(f"\nError: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted. Running the same command again goes on.", file=sys.stderr)
        return 130
    return 0


def _name(text: str) -> str:
    if text not in IMAGES:
        raise argparse.ArgumentTypeError(f"there is no image {text}; there are: {', '.join(IMAGES)}")
    return text


def _load(tags: list[str]) -> None:
    if not tags:
        return
    if find("kind") is None:
        say("the kind cluster is not up, so nothing is loaded into it")
        return
    load(tags)


if __name__ == "__main__":
    sys.exit(main())
