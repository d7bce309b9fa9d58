"""Command-line flags of `podrelay gateway`; this module imports nothing slow."""

import argparse
from pathlib import Path

from podrelay.api.settings import DEFAULT_RETENTION_DAYS


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
        "--graphiql", action="store_true", help="serve GraphiQL, a page for writing and sending documents, at /graphiql"
    )
    serving.add_argument(
        "--metrics-listen",
        metavar="HOST:PORT",
        help="serve /metrics for Prometheus at this address, over plain HTTP and without a token; port 0 selects a "
        "free port; default: not served",
    )
    limits = parser.add_argument_group("limits")
    limits.add_argument("--max-page", type=int, default=100, metavar="N", help="items on a page; default: %(default)s")
    limits.add_argument(
        "--max-depth", type=int, default=15, metavar="N", help="nested fields of a document; default: %(default)s"
    )
    limits.add_argument(
        "--max-aliases", type=int, default=30, metavar="N", help="aliases in a document; default: %(default)s"
    )
    limits.add_argument(
        "--max-tokens",
        type=int,
        default=2000,
        metavar="N",
        help="names, values and punctuation of a document; default: %(default)s",
    )
    limits.add_argument(
        "--max-document", type=int, default=16384, metavar="BYTES", help="size of a document; default: %(default)s"
    )
    limits.add_argument(
        "--max-batch", type=int, default=10, metavar="N", help="operations in one request; default: %(default)s"
    )
    limits.add_argument(
        "--max-seconds",
        type=float,
        default=30.0,
        metavar="S",
        help="time for a query or mutation, and for a batch; default: %(default)g",
    )
    limits.add_argument(
        "--max-subscriptions",
        type=int,
        default=100,
        metavar="N",
        help="subscriptions of one user, and also WebSockets; default: %(default)s",
    )
    limits.add_argument(
        "--max-connections",
        type=int,
        default=1000,
        metavar="N",
        help="connections at the same time; beyond that, those without a valid token are closed; default: %(default)s",
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
