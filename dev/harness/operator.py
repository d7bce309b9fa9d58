"""The operator as a separate process, as `podrelay operator` starts it, for one namespace."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, Self

from dev.harness import forked
from dev.harness.kubectl import Kubectl
from dev.harness.metrics import samples
from dev.harness.waiting import eventually
from podrelay.kube import reflector

PODRELAY = Path(sys.executable).parent / "podrelay"
LEASE_SECONDS = 15
"""Long enough that an operator keeps its Lease on a machine that is busy with tests."""
SHORT_LEASE = "--lease-duration=5"
"""For operators that lose the Lease in tests of a take-over, which have to wait until it expires."""


class Process(Protocol):
    """The interface of a process: a part of subprocess.Popen."""

    @property
    def pid(self) -> int: ...

    def poll(self) -> int | None: ...

    def wait(self, timeout: float | None = None) -> int: ...

    def send_signal(self, sig: int) -> None: ...


@dataclass
class OperatorProcess:
    """A replica. Several may be started for the same namespace; the Lease determines the leader.

    Attributes:
        kubectl: the cluster and namespace.
        folder: the folder for the log.
        environment: additional environment variables, such as the setting for crashes.
        flags: further flags.
        silence_seconds: it treats a watch as broken when nothing has arrived for so long.
    """

    kubectl: Kubectl
    folder: Path
    environment: dict[str, str] = field(default_factory=dict)
    flags: tuple[str, ...] = ()
    silence_seconds: float = reflector.SILENCE_SECONDS

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        self.stop()
        if error is not None:
            print(self.text)  # pytest shows it with the failure

    def start(self) -> None:
        """Start it, and wait until its caches are filled."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.log = self.folder / f"operator-{len(list(self.folder.iterdir()))}.log"
        namespace = self.kubectl.namespace
        self.process = self.launch(
            [
                "operator",
                f"--kubeconfig={self.kubectl.kubeconfig}",
                f"--namespace={namespace}",
                f"--lease-namespace={namespace}",
                f"--lease-duration={LEASE_SECONDS}",
                "--listen=127.0.0.1:0",
                *self.flags,
            ]
        )
        eventually("the operator has its caches filled", lambda: self.has_ended or "caches filled" in self.text)

    def launch(self, arguments: list[str]) -> Process:
        """Run `podrelay` with these arguments."""
        return forked.podrelay(arguments, os.environ | self.environment, self.log, self.silence_seconds)

    @property
    def text(self) -> str:
        """Its output."""
        return self.log.read_text(encoding="utf-8")

    @property
    def has_ended(self) -> bool:
        return self.process.poll() is not None

    def writes(self) -> int:
        """Return the number of its writes for runs, from its own metrics."""
        lines = self.get("/metrics").splitlines()
        return int(sum(float(line.split()[-1]) for line in lines if line.startswith("podrelay_api_writes_total")))

    def get(self, path: str) -> str:
        """Send a request to its address, like probes and Prometheus; return the body, regardless of the status."""
        address = re.search(r"listen=(\S+)", self.text)
        assert address is not None
        try:
            with urllib.request.urlopen(f"http://{address[1]}{path}") as answer:
                return str(answer.read().decode())
        except urllib.error.HTTPError as error:
            return error.read().decode()

    def metric(self, name: str, **labels: str) -> float:
        """Return a value of its metrics."""
        return samples(self.get("/metrics"))[name, frozenset(labels.items())]

    def kill(self) -> None:
        """Kill it with SIGKILL."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(timeout=10)

    def stop(self) -> None:
        """Send SIGTERM, and wait for its end."""
        if self.has_ended:
            return
        self.process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(timeout=15)
            return
        self.process.send_signal(signal.SIGKILL)
        raise AssertionError(f"the operator did not stop:\n{self.text}")


class SpawnedOperator(OperatorProcess):
    """A replica that is started like from a shell, with the package in its environment and no shared memory."""

    def launch(self, arguments: list[str]) -> Process:
        with self.log.open("wb") as log:
            environment = os.environ | self.environment
            return subprocess.Popen([PODRELAY, *arguments], env=environment, stdout=log, stderr=subprocess.STDOUT)
