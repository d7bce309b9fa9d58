"""Command-line flags of `podrelay gateway`, without anything that is slow to import."""

import argparse
from pathlib import Path

from podrelay.api.settings import DEFAULT_RETENTION_DAYS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the gateway's flags to `parser`."""
    cluster = parser.add_argument_group("which cluster")
    cluster.add_argument("--kubeconfig", type=Path, help="default: $KUBECONFIG, in a pod its service account")
    cluster.add_argument("--context", help="context of the kubeconfig; default: its current one")
    cluster.add_argument(
        "--namespace",
        action="append",
        default=[],
        metavar="NAME",
        help="serve this namespace only; can be given several times; default: all",
    )
    cluster.add_argument(
        "--default-namespace", metavar="NAME", help="of requests that name none; default: that of the context"
    )
    serving = parser.add_argument_group("serving")
    serving.add_argument(
        "--listen",
        default="127.0.0.1:8090",
        metavar="HOST:PORT",
        help="address of /graphql, /healthz and /readyz; port 0: a free one; default: %(default)s",
    )
    serving.add_argument(
        "--tls-cert", type=Path, metavar="FILE", help="serve HTTPS with this certificate; read anew when it changes"
    )
    serving.add_argument("--tls-key", type=Path, metavar="FILE", help="its key")
    serving.add_argument(
        "--behind-tls-proxy",
        action="store_true",
        help="serve plain HTTP beyond this machine, because a proxy before it speaks TLS",
    )
    serving.add_argument(
        "--auth",
        choices=("token", "none"),
        default="token",
        help="token: callers send a bearer token of the cluster; none: everybody on this machine acts with your own "
        "credentials, on a loopback address only; default: %(default)s",
    )
    serving.add_argument(
        "--audience",
        metavar="NAME",
        help="take tokens for this audience only, which are worth nothing at the API server, and act in the name of "
        "their users by impersonation; default: tokens of the API server, which are passed on to it",
    )
    serving.add_argument(
        "--impersonate-group",
        action="append",
        default=[],
        metavar="NAME",
        help="with --audience: rights of members of this group count; can be given several times, * for all groups; "
        "those of service accounts always do",
    )
    serving.add_argument(
        "--allow-origin",
        action="append",
        default=[],
        metavar="ORIGIN",
        help="web pages of this origin may call, such as https://console.example.com; can be given several times",
    )
    serving.add_argument(
        "--graphiql", action="store_true", help="serve GraphiQL, a page to write and send documents, at /graphiql"
    )
    serving.add_argument(
        "--metrics-listen",
        metavar="HOST:PORT",
        help="serve /metrics for Prometheus here, over plain HTTP and without a token; port 0: a free one; "
        "default: nowhere",
    )
    limits = parser.add_argument_group("limits")
    limits.add_argument("--max-page", type=int, default=100, metavar="N", help="items on a page; default: %(default)s")
    limits.add_argument("--max-depth", type=int, default=15, metavar="N", help="of a document; default: %(default)s")
    limits.add_argument("--max-aliases", type=int, default=30, metavar="N", help="in a document; default: %(default)s")
    limits.add_argument("--max-tokens", type=int, default=2000, metavar="N", help="in a document; default: %(default)s")
    limits.add_argument(
        "--max-document", type=int, default=16384, metavar="BYTES", help="of a document; default: %(default)s"
    )
    limits.add_argument(
        "--max-batch", type=int, default=10, metavar="N", help="operations in one request; default: %(default)s"
    )
    limits.add_argument(
        "--max-seconds",
        type=float,
        default=30.0,
        metavar="S",
        help="for a query or mutation, and for a batch of them; default: %(default)g",
    )
    limits.add_argument(
        "--max-subscriptions",
        type=int,
        default=100,
        metavar="N",
        help="of one user, over as many WebSockets at most; default: %(default)s",
    )
    limits.add_argument(
        "--max-connections",
        type=int,
        default=1000,
        metavar="N",
        help="at once; when there are more, those without a good token are closed; default: %(default)s",
    )
    limits.add_argument("--no-introspection", action="store_true", help="do not tell the schema")
    settings = parser.add_argument_group("settings")
    settings.add_argument(
        "--default-ttl-days",
        type=int,
        default=DEFAULT_RETENTION_DAYS,
        metavar="DAYS",
        help="what getSettings tells where a namespace has said nothing: give the operator's; default: %(default)s",
    )
    logging = parser.add_argument_group("logging")
    logging.add_argument(
        "--log-format", choices=("text", "json"), default="text", help="how log lines look; default: %(default)s"
    )
    logging.add_argument("--verbose", action="store_true", help="debug log lines too")
