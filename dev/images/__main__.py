"""`python -m dev.images build` and `push`: build changed images, and load them into kind or push them to a registry."""

import argparse
import sys
from collections.abc import Callable, Sequence

from dev.cluster import ClusterError, find, load
from dev.cluster.steps import say
from dev.images import push
from dev.images.base import WantedBase
from dev.images.build import IMAGES, LOADED, build

EPILOG = """
examples:
  python -m dev.images build              build all images, and load them into the kind cluster if it is up
  python -m dev.images build operator     only the operator's image, for example after a change of its code
  python -m dev.images push --registry registry.example/team --tag 1.0
                                      push the images that a cluster needs to a registry
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command. Return 0 for success, 1 for a failure and 2 for an invalid command line."""
    parser = argparse.ArgumentParser(
        prog="python -m dev.images",
        description="Build the container images with Docker, and load them into kind or push them to a registry.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    builds = commands.add_parser("build", help="build changed images, and load them into the kind cluster if it is up")
    pushes = commands.add_parser("push", help="build changed images, and push them to a registry")
    for command, names in ((builds, tuple(IMAGES)), (pushes, push.PUBLISHED)):
        words = f"one of {', '.join(IMAGES)}; default: {' '.join(names)}"
        command.add_argument("images", nargs="*", type=_name, metavar="IMAGE", help=words)
        command.add_argument(
            "--base",
            metavar="IMAGE",
            help="base image, such as python:3.13-slim@sha256:...; default: the one in Docker, else the newest",
        )
        command.add_argument(
            "--refresh", action="store_true", help="renew the base image, to get the latest security fixes"
        )
    pushes.add_argument(
        "--registry",
        required=True,
        type=_checked(push.checked_registry),
        metavar="HOST[:PORT][/PATH]",
        help="the images are named HOST:PORT/PATH/podrelay and so on; uses the credentials of docker login",
    )
    pushes.add_argument("--tag", required=True, type=_checked(push.checked_tag), help="tag of all images, such as 1.0")
    options = parser.parse_args(arguments)
    try:
        if options.command == "build":
            _build(tuple(options.images) or tuple(IMAGES), WantedBase(options.base, options.refresh))
        else:
            names = tuple(options.images) or push.PUBLISHED
            build(names, WantedBase(options.base, options.refresh))
            _push(names, options.registry, options.tag)
    except ClusterError as error:
        print(f"\nError: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted. Run the same command again to continue.", file=sys.stderr)
        return 130
    return 0


def _name(text: str) -> str:
    if text not in IMAGES:
        raise argparse.ArgumentTypeError(f"there is no image {text}; choose from: {', '.join(IMAGES)}")
    return text


def _checked(check: Callable[[str], str]) -> Callable[[str], str]:
    """Return a check of an argument whose error message argparse prints."""

    def checked(text: str) -> str:
        try:
            return check(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    return checked


def _build(names: Sequence[str], wanted: WantedBase) -> None:
    build(names, wanted)
    _load([IMAGES[name] for name in names if name in LOADED])


def _push(names: Sequence[str], registry: str, tag: str) -> None:
    pushed = push.push(names, registry, tag)
    for image in pushed:
        print(f"{image.repository}:{image.tag} {image.digest}".rstrip())
    if flags := push.helm_flags(pushed):
        print(f"helm: {flags}")


def _load(tags: list[str]) -> None:
    if not tags:
        return
    if find("kind") is None:
        say("the kind cluster is not up, so nothing is loaded into it")
        return
    load(tags)


if __name__ == "__main__":
    sys.exit(main())
