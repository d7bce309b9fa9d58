"""What a caller gets: a running cluster, as a value."""

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, Self, get_args

from cluster.paths import Checkout, here, write_atomic

Kind = Literal["kind", "control-plane", "current"]
KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster that answers.

    Attributes:
        kind: Which of the three it is.
        name: Its name; for `current`, the context's.
        kubeconfig: A file whose only context is this cluster.
        server: The address of the API server, as this host reaches it.
        version: The API server's version, such as v1.35.4.
        nodes: The names of its nodes at the time when it was made; none for `control-plane`.
        audit_log: The API server's audit log, where there is one.
        logs: The folder of the logs of programs that run on this host, where there is one.
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
        """What to add to the environment of a program that is to use this cluster."""
        added = {"KUBECONFIG": str(self.kubeconfig), "PATH": f"{self.bin}{os.pathsep}{os.environ.get('PATH', '')}"}
        if self.docker_host:
            added["DOCKER_HOST"] = self.docker_host
        return added

    def save(self, checkout: Checkout) -> Self:
        """Remember it as running."""
        write_atomic(record(checkout, self.kind), json.dumps(asdict(self), default=str, indent=2) + "\n")
        return self

    @classmethod
    def load(cls, checkout: Checkout, kind: Kind) -> Self | None:
        """The cluster that was last said to run; whether it still does is for its own module to say."""
        try:
            values: dict[str, Any] = json.loads(record(checkout, kind).read_text())
            for key in ("kubeconfig", "audit_log", "logs", "bin"):
                values[key] = Path(values[key]) if values[key] else None
            values["nodes"] = tuple(values["nodes"])
            return cls(**values)
        except (OSError, ValueError, TypeError, KeyError):
            return None


def record(checkout: Checkout, kind: Kind) -> Path:
    """The file that says that a cluster of this kind runs."""
    return checkout.of(kind) / "cluster.json"


def export_lines(cluster: Cluster) -> list[str]:
    """Shell lines that make the cluster the one in use; PATH is written so that `eval` twice does no harm."""
    lines = [f"export KUBECONFIG={_quote(str(cluster.kubeconfig))}"]
    if cluster.docker_host:
        lines.append(f"export DOCKER_HOST={_quote(cluster.docker_host)}")
    folder = str(cluster.bin)
    lines.append(f'case ":$PATH:" in *{_quote(f":{folder}:")}*) ;; *) export PATH={_quote(folder)}:"$PATH" ;; esac')
    return lines


def _quote(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"
