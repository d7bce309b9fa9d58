"""The command line: python -m dev.cluster up|down|status|env|load|tools."""

import argparse
import sys
from collections.abc import Sequence
from typing import NoReturn

from dev.cluster import clusters
from dev.cluster.errors import ClusterError
from dev.cluster.model import KINDS, Cluster, Kind, export_lines
from dev.cluster.steps import say
from dev.cluster.tools import NAMES, tool

EPILOG = """
examples:
  python -m dev.cluster up kind --nodes 3          real nodes and pods, for the demo and the end-to-end tests
  python -m dev.cluster up control-plane           only the Kubernetes API, for integration tests and benchmarks
  python -m dev.cluster up current --context NAME  a cluster that you already have
  eval "$(python -m dev.cluster env kind)"         configure kubectl of this shell for it
  python -m dev.cluster load kind IMAGE...         copy images into the nodes
  python -m dev.cluster tools helm kubectl         build tools and print their paths
  python -m dev.cluster down                       remove all clusters of this checkout
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Return 0 for success, 1 for a failure and 2 for an invalid command line."""
    options = _parser().parse_args(arguments)
    try:
        match options.command:
            case "up":
                return _up(options)
            case "down":
                return _down(options.kind)
            case "status":
                return _status(options.kind)
            case "env":
                return _env(options.kind)
            case "load":
                clusters.load(options.images)
            case "tools":
                for path in [tool(name) for name in options.names]:
                    print(path)
    except ClusterError as error:
        print(f"\nError: {error.message}", file=sys.stderr)
        if error.hint:
            print(error.hint, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted. Run the same command again to continue.", file=sys.stderr)
        return 130
    return 0


def _up(options: argparse.Namespace) -> int:
    cluster = clusters.up(
        options.kind,
        nodes=options.nodes,
        replace=options.replace,
        node_image=options.node_image,
        context=options.context,
    )
    say(f'use it:  eval "$(python -m dev.cluster env {cluster.kind})"')
    _describe(cluster)
    return 0


def _down(kind: Kind | None) -> int:
    for one in [kind] if kind else KINDS:
        if clusters.down(one):
            say(f"{one}: gone")
        elif kind:
            say(f"{one}: there was none")
    return 0


def _status(kind: Kind | None) -> int:
    found = {one: clusters.find(one) for one in ([kind] if kind else KINDS)}
    for one, cluster in found.items():
        if cluster:
            _describe(cluster)
        else:
            print(f"{one}: not up")
    return 0 if any(found.values()) else 1


def _env(kind: Kind | None) -> int:
    cluster = clusters.find(kind) if kind else clusters.current()
    if cluster is None:
        raise ClusterError(f"The cluster {kind} is not up.", f"Start it: python -m dev.cluster up {kind}")
    print("\n".join(export_lines(cluster)))
    return 0


def _describe(cluster: Cluster) -> None:
    facts = {
        "server": f"{cluster.server} ({cluster.version})",
        "nodes": ", ".join(cluster.nodes) or None,
        "kubeconfig": cluster.kubeconfig,
        "audit log": cluster.audit_log,
        "logs": cluster.logs,
        "docker host": cluster.docker_host,
        "this host, seen from pods": cluster.host_address,
        "node ports published at": cluster.node_address,
    }
    print(f"{cluster.kind}: up, {cluster.name}")
    for name, value in facts.items():
        if value:
            print(f"  {name:26} {value}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m dev.cluster",
        description="Clusters for the demo and the tests, made of the unmodified Kubernetes programs.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    up = commands.add_parser("up", help="start a cluster, unless it is up")
    up.add_argument("kind", choices=KINDS, nargs="?", default="kind", help="default: kind")
    up.add_argument(
        "--nodes",
        type=int,
        choices=(1, 2, 3),
        help="kind: number of nodes (default: that of the running cluster, or 1)",
    )
    up.add_argument("--replace", action="store_true", help="kind: first remove a cluster with another number of nodes")
    up.add_argument("--node-image", metavar="IMAGE", help="kind: use this node image unchanged")
    up.add_argument("--context", metavar="NAME", help="current: the kubeconfig context to use")

    for name, help_text in (
        ("down", "remove a cluster and everything that belongs to it (default: all clusters)"),
        ("status", "show which clusters are up and where their kubeconfigs are (default: all clusters)"),
        ("env", "print shell commands that select a cluster (default: the one that is up)"),
    ):
        command = commands.add_parser(name, help=help_text)
        command.add_argument("kind", choices=KINDS, nargs="?")

    load = commands.add_parser("load", help="copy images from Docker into the nodes of the kind cluster")
    load.add_argument("images", metavar="[kind] IMAGE", nargs="+", action=_Images, help="images in Docker")

    tools = commands.add_parser("tools", help="build tools that are missing, and print the paths")
    tools.add_argument("names", choices=NAMES, nargs="+", metavar="NAME", help=", ".join(NAMES))
    return parser


class _Images(argparse.Action):
    """Image names after an optional `kind`: images can only be loaded into a cluster of that kind."""

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: object, _: object = None
    ) -> None:
        images = list(values) if isinstance(values, list) else []
        named = images.pop(0) if images and images[0] in KINDS else "kind"
        if named != "kind":
            _usage(parser, "images can only be loaded into a kind cluster")
        if not images:
            _usage(parser, "name at least one image")
        setattr(namespace, self.dest, images)


def _usage(parser: argparse.ArgumentParser, message: str) -> NoReturn:
    parser.error(message)


if __name__ == "__main__":
    sys.exit(main())
