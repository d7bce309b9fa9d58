"""kubectl and helm, as a user would call them."""

import json
import os
import queue
import re
import shlex
import subprocess
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from dev.cluster import Cluster, ClusterError

NAMESPACE = "podrelay-demo"
SYSTEM = "podrelay-system"
USER = "front-end"
"""The service account of the demo's GraphQL client."""
RUNS = "taskruns.podrelay.dev"
RECORDS = "taskiterations.podrelay.dev"
ROOT = Path(__file__).resolve().parents[2]
SECONDS = 180
"""The time limit of a single command."""

Object = dict[str, Any]


class Changes:
    """The objects that several watches of kubectl report, in the order of their arrival."""

    def __init__(self) -> None:
        self._queue: queue.Queue[Object | ClusterError] = queue.Queue()

    def next(self, deadline: float) -> Object:
        """Wait for the next object, and return it.

        Args:
            deadline: in terms of time.monotonic().

        Raises:
            ClusterError: a watch has ended, or no object arrived before the deadline.
        """
        try:
            change = self._queue.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            raise ClusterError("Timed out: the runs should have finished by now.") from None
        if isinstance(change, ClusterError):
            raise change
        return change

    def read(self, process: subprocess.Popen[str], command: str) -> None:
        """Read the output of a program until it ends."""
        for found in objects(process.stdout or ()):
            self._queue.put(found)
        self._queue.put(ClusterError(f"`{command}` has ended, although it should have continued to watch."))


class Programs:
    """The programs for one cluster."""

    def __init__(self, cluster: Cluster) -> None:
        self._env = os.environ | cluster.env

    def call(self, *command: str, stdin: str | None = None) -> str:
        """Run a program to its end, and return its output.

        Raises:
            ClusterError: the program failed; the message contains its output.
        """
        try:
            ended = subprocess.run(
                command,
                env=self._env,
                cwd=ROOT,
                input=stdin,
                capture_output=True,
                text=True,
                check=False,
                timeout=SECONDS,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise ClusterError(f"`{shlex.join(command)}` failed: {error}") from None
        if ended.returncode != 0:
            raise ClusterError(f"`{shlex.join(command)}` failed:\n{(ended.stderr or ended.stdout).strip()}")
        return ended.stdout

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        """Run kubectl in the demo's namespace, and return its output."""
        return self.call("kubectl", "--namespace", NAMESPACE, *arguments, stdin=stdin)

    def show(self, *command: str) -> int:
        """Run a program with its output shown to the user; return its exit code."""
        return subprocess.run(command, env=self._env, cwd=ROOT, check=False, timeout=SECONDS).returncode

    @contextmanager
    def forward(self, service: str, port: int) -> Iterator[int]:
        """Forward a local port to a service in the operator's namespace; yield the local port.

        Raises:
            ClusterError: kubectl failed; the message contains its output.
        """
        command = ["kubectl", "--namespace", SYSTEM, "port-forward", f"service/{service}", f":{port}"]
        with subprocess.Popen(
            command, env=self._env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as process:
            try:
                # The first line is "Forwarding from 127.0.0.1:40213 -> 8090", or an error.
                said = process.stdout.readline() if process.stdout else ""
                found = re.search(r"127\.0\.0\.1:(\d+)", said)
                if found is None:
                    raise ClusterError(f"`{shlex.join(command)}` failed: {said.strip()}")
                yield int(found[1])
            finally:
                process.terminate()

    @contextmanager
    def watch(self, *resources: str) -> Iterator[Changes]:
        """Report the objects of these resources in the demo's namespace: first the existing ones, then each change."""
        changes = Changes()
        with ExitStack() as stack:
            for resource in resources:
                command = ["kubectl", "--namespace", NAMESPACE, "get", resource, "--watch", "--output", "json"]
                process = stack.enter_context(
                    subprocess.Popen(
                        command, env=self._env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
                    )
                )
                stack.callback(process.terminate)
                threading.Thread(target=changes.read, args=(process, shlex.join(command)), daemon=True).start()
            yield changes


def objects(lines: Iterable[str]) -> Iterator[Object]:
    """Parse the stream of indented JSON objects that kubectl writes."""
    gathered: list[str] = []
    for line in lines:
        gathered.append(line)
        if line.startswith("}"):
            yield json.loads("".join(gathered))
            gathered = []
