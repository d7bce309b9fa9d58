"""A control plane for one test, whose etcd can be restored to an earlier state, as after a disaster."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from dev.cluster import Cluster, controlplane, kubectl
from dev.cluster.paths import Checkout, here
from dev.cluster.processes import PROC, Process, start, stop


class RestorableCluster:
    """A control plane in a separate folder.

    Args:
        folder: the folder for its files.
    """

    def __init__(self, folder: Path) -> None:
        self._checkout = Checkout(folder)
        self._files = controlplane.Files(self._checkout.of(controlplane.KIND))
        self._copy = folder / "snapshot"
        self._commands: dict[str, list[str]] = {}
        self.cluster: Cluster

    @contextmanager
    def running(self) -> Iterator["RestorableCluster"]:
        """Start it; it is stopped at the end."""
        try:
            self.cluster = replace(controlplane.up(self._checkout), bin=here().bin)
            yield self
        finally:
            controlplane.down(self._checkout)

    def snapshot(self) -> None:
        """Save the state of etcd, which is stopped meanwhile so that the copy of its files is consistent."""
        with self._stopped():
            shutil.copytree(self._etcd, self._copy)

    def restore(self) -> None:
        """Restore etcd from the snapshot, including its resource versions; all programs are started again."""
        with self._stopped():
            shutil.rmtree(self._etcd)
            shutil.copytree(self._copy, self._etcd)

    @property
    def _etcd(self) -> Path:
        return self._files.root / "etcd"

    @contextmanager
    def _stopped(self) -> Iterator[None]:
        running = {program: Process.load(self._files.record(program)) for program in controlplane.PROGRAMS}
        for program, process in running.items():
            if program not in self._commands:
                assert process is not None, f"{program} does not run"
                words = (PROC / str(process.pid) / "cmdline").read_bytes().split(b"\0")[:-1]
                self._commands[program] = [word.decode() for word in words]
        # Clients before servers.
        for program in reversed(controlplane.PROGRAMS):
            stop([process for process in (running[program],) if process is not None])
        yield
        files = self._files
        for program in controlplane.PROGRAMS:
            start(self._commands[program], record=files.record(program), log=files.log(program), cwd=files.root)
            if program == "kube-apiserver":  # the others end without an API server
                kubectl.wait_for("API server", lambda: kubectl.answers(files.kubeconfig), 120)
