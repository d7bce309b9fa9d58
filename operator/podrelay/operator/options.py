"""Command-line flags of `podrelay operator`, without anything that is slow to import."""

import argparse
import os
from pathlib import Path
from typing import Final

from podrelay.api.settings import DEFAULT_RETENTION_DAYS

DEFAULT_RUNNING_PODS_PER_NAMESPACE: Final = 500
"""Far more than most namespaces need, and far less than a task that starts tasks without end would make."""
DEFAULT_DEPTH: Final = 10


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the operator's flags to `parser`."""
    cluster = parser.add_argument_group("which cluster")
    cluster.add_argument("--kubeconfig", type=Path, help="default: $KUBECONFIG, in a pod its service account")
    cluster.add_argument("--context", help="context of the kubeconfig; default: its current one")
    cluster.add_argument(
        "--namespace",
        action="append",
        default=[],
        metavar="NAME",
        help="watch this namespace only; can be given several times; default: all",
    )
    lease = parser.add_argument_group("leadership")
    lease.add_argument(
        "--lease-namespace",
        default=os.environ.get("POD_NAMESPACE", ""),
        metavar="NAME",
        help="where the Lease is; default: $POD_NAMESPACE, else the namespace of the context",
    )
    lease.add_argument("--lease-name", default="podrelay-operator", metavar="NAME", help="default: %(default)s")
    lease.add_argument(
        "--lease-duration",
        type=float,
        default=15.0,
        metavar="SECONDS",
        help="another replica takes over when the Lease has not changed for so long; below 15 for tests only; "
        "default: %(default)g",
    )
    behaviour = parser.add_argument_group("behaviour")
    behaviour.add_argument(
        "--default-ttl-days",
        type=float,
        default=DEFAULT_RETENTION_DAYS,
        metavar="DAYS",
        help="finished runs are deleted after so many days where neither they, their definition nor the settings of "
        "their namespace say anything, 0: never; default: %(default)g",
    )
    behaviour.add_argument(
        "--max-running-pods",
        type=_positive,
        metavar="N",
        help="at most N runs have a pod at the same time, the others wait in a queue, oldest first; default: no limit",
    )
    behaviour.add_argument(
        "--max-running-pods-per-namespace",
        type=_not_negative,
        default=DEFAULT_RUNNING_PODS_PER_NAMESPACE,
        metavar="N",
        help="the same for each namespace; 0: no limit; default: %(default)s",
    )
    behaviour.add_argument(
        "--max-depth",
        type=_positive,
        default=DEFAULT_DEPTH,
        metavar="N",
        help="a run has at most N runs above it, its parent, the parent of that and so on; a further child fails as "
        "TooManyAncestors; default: %(default)s",
    )
    behaviour.add_argument(
        "--without-policies",
        action="store_true",
        help="be ready although the chart's admission policies are not in force: something else holds task pods to "
        "their own records and runs",
    )
    behaviour.add_argument(
        "--without-pod-logs",
        action="store_true",
        help="do not read what a pod has printed into the record that the operator writes for it: of pods that report "
        "by termination message, and of those that died; needs the right to get pods/log otherwise",
    )
    behaviour.add_argument(
        "--listen",
        default="127.0.0.1:8080",
        metavar="HOST:PORT",
        help="address of /healthz, /readyz and /metrics; port 0: a free one; default: %(default)s",
    )
    behaviour.add_argument(
        "--log-format", choices=("text", "json"), default="text", help="how log lines look; default: %(default)s"
    )
    behaviour.add_argument("--verbose", action="store_true", help="debug log lines too")


def _positive(text: str) -> int:
    return _at_least(1, text)


def _not_negative(text: str) -> int:
    return _at_least(0, text)


def _at_least(least: int, text: str) -> int:
    number = int(text)
    if number < least:
        raise argparse.ArgumentTypeError(f"{text} is less than {least}")
    return number
