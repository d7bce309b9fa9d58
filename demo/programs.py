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

from cluster import Cluster, ClusterError

NAMESPACE = "podrelay-demo"
SYSTEM = "podrelay-system"
USER = "front-end"
"""The service account that the demo speaks GraphQL as."""
RUNS = "taskruns.podrelay.dev"
RECORDS = "taskiterations.podrelay.dev"
ROOT = Path(__file__).resolve().parent.parent
SECONDS = 180
"""No single command takes longer."""

Object = dict[str, Any]


class Changes:
    """What several watches of kubectl report, in the order in which it comes."""

    def __init__(self) -> None:
        self._queue: queue.Queue[Object | ClusterError] = queue.Queue()

    def next(self, deadline: float) -> Object:
        """Wait for the next object.

        Args:
            deadline: a time of time.monotonic().

        Raises:
            ClusterError: a watch has ended, or nothing came until the deadline.
        """
        try:
            change = self._queue.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            raise ClusterError("It takes too long: the runs should have finished by now.") from None
        if isinstance(change, ClusterError):
            raise change
        return change

    def read(self, process: subprocess.Popen[str], command: str) -> None:
        """Take all that a program writes, until it ends."""
        for found in objects(process.stdout or ()):
            self._queue.put(found)
        self._queue.put(ClusterError(f"`{command}` has ended, although it should have watched."))


class Programs:
    """The programs of one cluster."""

    def __init__(self, cluster: Cluster) -> None:
        self._env = os.environ | cluster.env

    def call(self, *command: str, stdin: str | None = None) -> str:
        """Run a program to its end and return what it prints.

        Raises:
            ClusterError: it failed; the message holds its words.
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
        """Run kubectl in the demo's namespace."""
        return self.call("kubectl", "--namespace", NAMESPACE, *arguments, stdin=stdin)

    def show(self, *command: str) -> int:
        """Run a program that the user is to see at work; return its exit code."""
        return subprocess.run(command, env=self._env, cwd=ROOT, check=False, timeout=SECONDS).returncode

    @contextmanager
    def forward(self, service: str, port: int) -> Iterator[int]:
        """Make a port of a service in the operator's namespace reachable; yield the port on this machine.

        Raises:
            ClusterError: kubectl cannot do it; the message holds its words.
        """
        command = ["kubectl", "--namespace", SYSTEM, "port-forward", f"service/{service}", f":{port}"]
        with subprocess.Popen(
            command, env=self._env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as process:
            try:
                # "Forwarding from 127.0.0.1:40213 -> 8090" is its first line, or else an error.
                said = process.stdout.readline() if process.stdout else ""
                found = re.search(r"127\.0\.0\.1:(\d+)", said)
                if found is None:
                    raise ClusterError(f"`{shlex.join(command)}` failed: {said.strip()}")
                yield int(found[1])
            finally:
                process.terminate()

    @contextmanager
    def watch(self, *resources: str) -> Iterator[Changes]:
        """Report the objects of these resources in the demo's namespace as they change, and first as they are."""
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
    """Cut the stream of indented JSON objects that kubectl writes into objects."""
    gathered: list[str] = []
    for line in lines:
        gathered.append(line)
        if line.startswith("}"):
            yield json.loads("".join(gathered))
            gathered = []
