"""Command-line flags of `podrelay operator`, without slow imports."""

import argparse
import os
from pathlib import Path
from typing import Final

from podrelay.api.settings import DEFAULT_RETENTION_DAYS

DEFAULT_RUNNING_PODS_PER_NAMESPACE: Final = 500
"""Far more than most namespaces need, and far less than a task that starts tasks endlessly would create."""
DEFAULT_DEPTH: Final = 10
DEFAULT_SCHEDULE_STARTS: Final = 20
"""A run takes the API server some 30 ms of a CPU until its pod exists."""


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
        help="namespace of the Lease; default: $POD_NAMESPACE, otherwise the namespace of the context",
    )
    lease.add_argument("--lease-name", default="podrelay-operator", metavar="NAME", help="default: %(default)s")
    lease.add_argument(
        "--lease-duration",
        type=float,
        default=15.0,
        metavar="SECONDS",
        help="another replica takes over when the Lease has not changed for so long; values below 15 are for tests; "
        "default: %(default)g",
    )
    behaviour = parser.add_argument_group("behaviour")
    behaviour.add_argument(
        "--default-ttl-days",
        type=float,
        default=DEFAULT_RETENTION_DAYS,
        metavar="DAYS",
        help="finished runs are deleted after so many days, unless the run, its definition or the settings of its "
        "namespace set another time; 0: never; default: %(default)g",
    )
    behaviour.add_argument(
        "--max-running-pods",
        type=_positive,
        metavar="N",
        help="at most N runs have a pod at the same time; the others wait in a queue, oldest first; default: no limit",
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
        help="a run has at most N ancestors: its parent, the parent of that and so on; a deeper child fails with the "
        "reason TooManyAncestors; default: %(default)s",
    )
    behaviour.add_argument(
        "--max-schedule-starts-per-second",
        type=_positive,
        default=DEFAULT_SCHEDULE_STARTS,
        metavar="N",
        help="schedules start at most N runs a second, so that those of a full hour do not overload the API server; "
        "default: %(default)s",
    )
    behaviour.add_argument(
        "--without-policies",
        action="store_true",
        help="be ready even if the chart's admission policies are not in force, because something else restricts task "
        "pods to their own records and runs",
    )
    behaviour.add_argument(
        "--without-pod-logs",
        action="store_true",
        help="do not copy the log of a pod to the record that the operator writes for it: of pods that report by "
        "termination message, and of those that died; without this flag, it needs the right to get pods/log",
    )
    behaviour.add_argument(
        "--listen",
        default="127.0.0.1:8080",
        metavar="HOST:PORT",
        help="address of /healthz, /readyz and /metrics; port 0: a free port; default: %(default)s",
    )
    behaviour.add_argument(
        "--log-format", choices=("text", "json"), default="text", help="format of log lines; default: %(default)s"
    )
    behaviour.add_argument("--verbose", action="store_true", help="also log debug messages")


def _positive(text: str) -> int:
    return _at_least(1, text)


def _not_negative(text: str) -> int:
    return _at_least(0, text)


def _at_least(least: int, text: str) -> int:
    number = int(text)
    if number < least:
        raise argparse.ArgumentTypeError(f"{text} is less than {least}")
    return number
