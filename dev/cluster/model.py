"""The description of a running cluster that callers get."""

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, Self, get_args

from dev.cluster.paths import Checkout, here, write_atomic

Kind = Literal["kind", "control-plane", "current"]
KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster that responds.

    Attributes:
        kind: One of the three kinds.
        name: Its name; for `current`, the name of the context.
        kubeconfig: A file with this cluster as its only context.
        server: The address of the API server for programs on this host.
        version: The version of the API server, such as v1.35.4.
        nodes: The names of its nodes when it was created; none for `control-plane`.
        audit_log: The audit log of the API server, if any.
        logs: The folder with the logs of programs that run on this host, if any.
        docker_host: The Docker daemon that runs the nodes, if it is not the host's default one.
        host_address: An address at which pods reach services of this host that listen on all addresses.
        node_address: An address at which this host reaches ports that kind publishes from its nodes.
    """

    kind: Kind
    name: str
    kubeconfig: Path
    server: str
    version: str
    nodes: tuple[str, ...] = ()
    audit_log: Path | None = None
    logs: Path | None = None
    docker_host: str | None = None
    host_address: str | None = None
    node_address: str | None = None
    bin: Path = field(default_factory=lambda: here().bin)

    @property
    def env(self) -> dict[str, str]:
        """The environment variables for a program that uses this cluster."""
        added = {"KUBECONFIG": str(self.kubeconfig), "PATH": f"{self.bin}{os.pathsep}{os.environ.get('PATH', '')}"}
        if self.docker_host:
            added["DOCKER_HOST"] = self.docker_host
        return added

    def save(self, checkout: Checkout) -> Self:
        """Record the cluster as running, and return it."""
        write_atomic(record(checkout, self.kind), json.dumps(asdict(self), default=str, indent=2) + "\n")
        return self

    @classmethod
    def load(cls, checkout: Checkout, kind: Kind) -> Self | None:
        """Return the cluster that was recorded last; the module of its kind checks whether it still runs."""
        try:
            values: dict[str, Any] = json.loads(record(checkout, kind).read_text())
            for key in ("kubeconfig", "audit_log", "logs", "bin"):
                values[key] = Path(values[key]) if values[key] else None
            values["nodes"] = tuple(values["nodes"])
            return cls(**values)
        except (OSError, ValueError, TypeError, KeyError):
            return None


def record(checkout: Checkout, kind: Kind) -> Path:
    """Return the file that records a running cluster of this kind."""
    return checkout.of(kind) / "cluster.json"


def export_lines(cluster: Cluster) -> list[str]:
    """Return shell commands that select the cluster; evaluating them twice does not extend PATH twice."""
    lines = [f"export KUBECONFIG={_quote(str(cluster.kubeconfig))}"]
    if cluster.docker_host:
        lines.append(f"export DOCKER_HOST={_quote(cluster.docker_host)}")
    folder = str(cluster.bin)
    lines.append(f'case ":$PATH:" in *{_quote(f":{folder}:")}*) ;; *) export PATH={_quote(folder)}:"$PATH" ;; esac')
    return lines


def _quote(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"
