"""kubectl and helm, as a user would call them."""

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cluster import Cluster, ClusterError

NAMESPACE = "podrelay-demo"
SYSTEM = "podrelay-system"
RUNS = "taskruns.podrelay.dev"
ROOT = Path(__file__).resolve().parent.parent


class Programs:
    """The programs of one cluster."""

    def __init__(self, cluster: Cluster) -> None:
        self._env = os.environ | cluster.env

    def call(self, *command: str, stdin: str | None = None) -> str:
        """Run a program to its end and return what it prints.

        Raises:
            ClusterError: it failed; the message holds its words.
        """
        ended = subprocess.run(
            command, env=self._env, cwd=ROOT, input=stdin, capture_output=True, text=True, check=False, timeout=180
        )
        if ended.returncode != 0:
            raise ClusterError(f"{' '.join(command)}\nfailed: {(ended.stderr or ended.stdout).strip()}")
        return ended.stdout

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        """Run kubectl in the demo's namespace."""
        return self.call("kubectl", "--namespace", NAMESPACE, *arguments, stdin=stdin)

    def get(self, *arguments: str) -> dict[str, Any]:
        """Return an object, or a list of them."""
        found: dict[str, Any] = json.loads(self.kubectl("get", *arguments, "--output", "json"))
        return found

    @contextmanager
    def watch_runs(self) -> Iterator[Iterator[dict[str, Any]]]:
        """Yield the runs of the demo as they change, beginning with what they are now."""
        command = ["kubectl", "--namespace", NAMESPACE, "get", RUNS, "--watch", "--output", "json"]
        with subprocess.Popen(command, env=self._env, stdout=subprocess.PIPE, text=True) as process:
            try:
                yield _objects(process)
            finally:
                process.terminate()


def _objects(process: subprocess.Popen[str]) -> Iterator[dict[str, Any]]:
    """Cut the stream of indented JSON objects that kubectl writes into objects."""
    lines: list[str] = []
    assert process.stdout is not None  # noqa: S101 - it was asked for
    for line in process.stdout:
        lines.append(line)
        if line.startswith("}"):
            yield json.loads("".join(lines))
            lines = []
