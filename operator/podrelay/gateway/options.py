"""Command-line flags of `podrelay gateway`; this module imports nothing slow."""

import argparse
from pathlib import Path
from typing import Final

from podrelay.api.settings import DEFAULT_RETENTION_DAYS

_LIMITS: Final = (
    ("--max-page", 100, "N", "items on a page"),
    ("--max-depth", 15, "N", "nested fields of a document"),
    ("--max-aliases", 30, "N", "aliases in a document"),
    ("--max-tokens", 2000, "N", "names, values and punctuation of a document"),
    ("--max-document", 16384, "BYTES", "size of a document"),
    ("--max-batch", 10, "N", "operations in one request"),
    ("--max-seconds", 30.0, "S", "time for a query or mutation, and for a batch"),
    ("--max-subscriptions", 100, "N", "subscriptions of one user, and also WebSockets"),
    (
        "--max-connections",
        1000,
        "N",
        "connections at the same time; beyond that, those without a valid token are closed",
    ),
)
"""Flag, default, unit and meaning of each limit."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the gateway's flags to `parser`."""
    cluster = parser.add_argument_group("cluster")
    cluster.add_argument("--kubeconfig", type=Path, help="default: $KUBECONFIG, or in a pod its service account")
    cluster.add_argument("--context", help="context of the kubeconfig; default: the current context")
    cluster.add_argument(
        "--namespace",
        action="append",
        default=[],
        metavar="NAME",
        help="serve only this namespace; can be repeated; default: all namespaces",
    )
    cluster.add_argument(
        "--default-namespace",
        metavar="NAME",
        help="namespace of requests that do not name one; default: that of the context",
    )
    serving = parser.add_argument_group("serving")
    serving.add_argument(
        "--listen",
        default="127.0.0.1:8090",
        metavar="HOST:PORT",
        help="address of /graphql, /healthz and /readyz; port 0 selects a free port; default: %(default)s",
    )
    serving.add_argument(
        "--tls-cert", type=Path, metavar="FILE", help="serve HTTPS with this certificate; reloaded when it changes"
    )
    serving.add_argument("--tls-key", type=Path, metavar="FILE", help="private key of the certificate")
    serving.add_argument(
        "--behind-tls-proxy",
        action="store_true",
        help="serve plain HTTP beyond this machine, because a proxy in front of the gateway terminates TLS",
    )
    serving.add_argument(
        "--auth",
        choices=("token", "none"),
        default="token",
        help="token: callers send a bearer token of the cluster; none: all callers act with your own credentials, on a "
        "loopback address only; default: %(default)s",
    )
    serving.add_argument(
        "--audience",
        metavar="NAME",
        help="accept only tokens for this audience, which are useless at the API server, and act on behalf of their "
        "users by impersonation; default: accept tokens of the API server, and pass them on to it",
    )
    serving.add_argument(
        "--impersonate-group",
        action="append",
        default=[],
        metavar="NAME",
        help="with --audience: rights that users have through this group apply; can be repeated; * means all groups; "
        "the groups of service accounts always apply",
    )
    serving.add_argument(
        "--allow-origin",
        action="append",
        default=[],
        metavar="ORIGIN",
        help="allow calls from web pages of this origin, such as https://console.example.com; can be repeated",
    )
    serving.add_argument(
        "--dashboard", action="store_true", help="serve the dashboard, a page for following and starting tasks, at /"
    )
    serving.add_argument(
        "--graphiql", action="store_true", help="serve GraphiQL, a page for writing and sending documents, at /graphiql"
    )
    serving.add_argument(
        "--metrics-listen",
        metavar="HOST:PORT",
        help="serve /metrics for Prometheus at this address, over plain HTTP and without a token; port 0 selects a "
        "free port; default: not served",
    )
    limits = parser.add_argument_group("limits")
    for flag, default, unit, what in _LIMITS:
        limits.add_argument(
            flag, type=type(default), default=default, metavar=unit, help=f"{what}; default: %(default)g"
        )
    limits.add_argument("--no-introspection", action="store_true", help="hide the schema from clients")
    settings = parser.add_argument_group("settings")
    settings.add_argument(
        "--default-ttl-days",
        type=int,
        default=DEFAULT_RETENTION_DAYS,
        metavar="DAYS",
        help="returned by getSettings for namespaces that do not set a retention; use the operator's value; "
        "default: %(default)s",
    )
    logging = parser.add_argument_group("logging")
    logging.add_argument(
        "--log-format", choices=("text", "json"), default="text", help="format of log lines; default: %(default)s"
    )
    logging.add_argument("--verbose", action="store_true", help="also log debug messages")
